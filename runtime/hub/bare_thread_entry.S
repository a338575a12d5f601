    .text
// long tendril_clone_thread(long flags, void* stack_top, int* tid, void* tls,
//                           void (*function)(void*), void* argument)
// A thread that the C library does not know. The function must not return. The parent's tid and the
// child's cleared tid both go to *tid.
    .globl tendril_clone_thread
    .hidden tendril_clone_thread
    .type tendril_clone_thread, @function
tendril_clone_thread:
    .cfi_startproc
    pushq %r12
    .cfi_def_cfa_offset 16
    .cfi_offset %r12, -16
    pushq %r13
    .cfi_def_cfa_offset 24
    .cfi_offset %r13, -24
    movq %r8, %r12
    movq %r9, %r13
    movq %rcx, %r8              // tls
    movq %rdx, %r10             // child tid, cleared at exit; rdx: parent tid
    movl $56, %eax              // clone
    syscall
    testq %rax, %rax
    jz 1f
    popq %r13
    .cfi_remember_state
    .cfi_def_cfa_offset 16
    popq %r12
    .cfi_def_cfa_offset 8
    ret
1:  .cfi_restore_state
    .cfi_undefined %rip
    xorl %ebp, %ebp
    movq %r13, %rdi
    call *%r12
    hlt
    .cfi_endproc
    .size tendril_clone_thread, .-tendril_clone_thread
    .section .note.GNU-stack,"",@progbits

    .text
// long tendril_interruptible_call(const volatile int* interrupted, long number, const long* arguments)
// The flag is looked at by the last instruction but one before `syscall`; the interrupt handler
// covers what lies between by moving a thread that is inside [begin, end) to `abort`.
    .globl tendril_interruptible_call, tendril_interruptible_begin, tendril_interruptible_end, tendril_interruptible_abort
    .hidden tendril_interruptible_call, tendril_interruptible_begin, tendril_interruptible_end, tendril_interruptible_abort
    .type tendril_interruptible_call, @function
tendril_interruptible_call:
    .cfi_startproc
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    movq %rdi, %rbx
    movq %rsi, %rax
    movq %rdx, %r11
    movq 0(%r11), %rdi
    movq 8(%r11), %rsi
    movq 16(%r11), %rdx
    movq 24(%r11), %r10
    movq 32(%r11), %r8
    movq 40(%r11), %r9
tendril_interruptible_begin:
    cmpl $0, (%rbx)
    jne tendril_interruptible_abort
    syscall
tendril_interruptible_end:
    popq %rbx
    .cfi_remember_state
    .cfi_def_cfa_offset 8
    ret
tendril_interruptible_abort:
    .cfi_restore_state
    movq $-4, %rax              // -EINTR
    popq %rbx
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size tendril_interruptible_call, .-tendril_interruptible_call

    .section .note.GNU-stack,"",@progbits

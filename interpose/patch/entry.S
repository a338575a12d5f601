// Where patched sites come to. State at entry: everything as at the site's `syscall` instruction,
// but R11 (which `syscall` destroys anyway) points at the site's record:
//
//   0(%r11)  where the program goes on, after the `syscall` instruction
//   8(%r11)  the `syscall` instruction itself, still there: whoever jumps to it traps
//
// All but RAX, RCX, R11 and the flags are given back unchanged, as the kernel does; the vector state
// too, since compilers keep values there over an inlined system call.
#include "interpose/patch/layout.h"

    .text
    .globl tendril_patched_entry
    .hidden tendril_patched_entry
    .type tendril_patched_entry, @function
tendril_patched_entry:
    movq _ZN7tendril6kernel15is_green_threadE@GOTTPOFF(%rip), %rcx
    cmpb $0, %fs:(%rcx)
    je tendril_patched_native       // a hub, a library's own thread, or dormant
    cmpw $1, %gs:8
    jne tendril_patched_native      // runtime code, or a vfork child
    cmpq $(CALL_CLASSES - 1), %rax
    ja .Ltrap
    leaq tendril_call_class(%rip), %rcx
    movzbl (%rcx,%rax), %ecx
    cmpl $CALL_GREEN, %ecx
    jb tendril_patched_native       // "pass": never leaves assembly
    ja .Ltrap
    // Green. Below the red zone:
    //   | rbp | r11 | r9 | r8 | r10 | rdx | rsi | rdi | rax | … | XSAVE area, aligned |
    //                                                     ^ the frame that C sees
    leaq -128(%rsp), %rsp
    pushq %rbp
    movq %rsp, %rbp
    pushq %r11
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rax
    movq %rsp, %rdi
    subq tendril_xsave_size(%rip), %rsp
    andq $-64, %rsp
    xorl %eax, %eax                 // XSAVEC leaves these header bytes alone, XRSTOR wants them 0
    movq %rax, 528(%rsp)
    movq %rax, 536(%rsp)
    movq %rax, 544(%rsp)
    movq %rax, 552(%rsp)
    movq %rax, 560(%rsp)
    movq %rax, 568(%rsp)
    movl $XSAVE_MASK, %eax
    xorl %edx, %edx
    xsavec (%rsp)
    call tendril_patched_call
    movl %eax, %ecx
    movl $XSAVE_MASK, %eax
    xorl %edx, %edx
    xrstor (%rsp)
    leaq -64(%rbp), %rsp
    popq %rax
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popq %r11
    popq %rbp
    leaq 128(%rsp), %rsp
    testl %ecx, %ecx
    jnz .Ldeliver
    jmp *0(%r11)
.Ldeliver:                          // signals, or the end of a time slice: with a trap's full frame
    movl $DELIVER_NUMBER, %eax
.Ltrap:
    jmp *8(%r11)
    .size tendril_patched_entry, .-tendril_patched_entry

// In the allowed range, so that it reaches the kernel also from program code.
    .section tendril_allowed,"ax",@progbits
    .globl tendril_patched_native
    .hidden tendril_patched_native
    .type tendril_patched_native, @function
tendril_patched_native:
    cmpq $(CALL_CLASSES - 1), %rax
    ja 1f
    leaq tendril_call_class(%rip), %rcx
    cmpb $CALL_TRAP, (%rcx,%rax)    // a clone's child would not find R11 on its stack
    je 2f
1:  leaq -136(%rsp), %rsp
    movq %r11, (%rsp)
    syscall
    movq (%rsp), %r11
    leaq 136(%rsp), %rsp
    jmp *0(%r11)
2:  jmp *8(%r11)
    .size tendril_patched_native, .-tendril_patched_native

    .section .note.GNU-stack,"",@progbits

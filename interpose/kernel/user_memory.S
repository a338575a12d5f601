// See user_memory.hpp. Only these routines may fault; each keeps its state in registers that the
// fix-up needs and nothing on the stack.
    .text
    .globl tendril_user_code_begin, tendril_user_code_end
    .globl tendril_user_copy_fixup, tendril_user_word_fixup, tendril_user_word_begin
    .hidden tendril_user_code_begin, tendril_user_code_end
    .hidden tendril_user_copy_fixup, tendril_user_word_fixup, tendril_user_word_begin
tendril_user_code_begin:

    .globl tendril_user_copy
    .hidden tendril_user_copy
    .type tendril_user_copy, @function
tendril_user_copy:
    .cfi_startproc
    movq %rdx, %rcx
    rep movsb
tendril_user_copy_fixup:        // rcx: what is left
    movq %rcx, %rax
    ret
    .cfi_endproc
    .size tendril_user_copy, .-tendril_user_copy

tendril_user_word_begin:
    .globl tendril_user_load32
    .hidden tendril_user_load32
    .type tendril_user_load32, @function
tendril_user_load32:
    .cfi_startproc
    movl (%rdi), %eax
    movl %eax, (%rsi)
    xorl %eax, %eax
    ret
    .cfi_endproc
    .size tendril_user_load32, .-tendril_user_load32

    .globl tendril_user_store64
    .hidden tendril_user_store64
    .type tendril_user_store64, @function
tendril_user_store64:
    .cfi_startproc
    movq %rsi, (%rdi)
    xorl %eax, %eax
    ret
    .cfi_endproc
    .size tendril_user_store64, .-tendril_user_store64

    .globl tendril_user_cas32
    .hidden tendril_user_cas32
    .type tendril_user_cas32, @function
tendril_user_cas32:
    .cfi_startproc
    movl %esi, %eax
    lock cmpxchgl %edx, (%rdi)
    movl %eax, (%rcx)
    xorl %eax, %eax
    ret
tendril_user_word_fixup:
    movq $-14, %rax             // -EFAULT
    ret
    .cfi_endproc
    .size tendril_user_cas32, .-tendril_user_cas32
tendril_user_code_end:
    .section .note.GNU-stack,"",@progbits

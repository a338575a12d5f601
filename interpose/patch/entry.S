// Where patched sites come to. State at entry: everything as at the site's `syscall` instruction,
// but R11 (which `syscall` destroys anyway) points at the site's record:
//
//   0(%r11)  where the program goes on, after the `syscall` instruction
//   8(%r11)  the `syscall` instruction itself, still there: whoever jumps to it traps
//
// All but RAX, RCX and R11 is given back unchanged, as the kernel does: the flags too, and the vector
// state, since compilers keep values there over an inlined system call.
//
// For unwinders the caller is the site: its stack pointer is the CFA, and it goes on at 0(record).
// Nothing returns there by `ret`, so where the record lies is told by expressions.
#include "interpose/patch/layout.h"

// DW_CFA_val_expression of the return address (column 16), of so many bytes.
#define RETURN_ADDRESS_IS 0x16, 0x10
#define RECORD_IN_R11 3, 0x7b, 0, 0x06                // breg11 0, deref
#define RECORD_AT_RBP_MINUS_8 4, 0x76, 0x78, 0x06, 0x06  // breg6 -8, deref, deref
#define RECORD_ABOVE_NUMBER 4, 0x77, 8, 0x06, 0x06    // breg7 8, deref, deref

    .macro each_xmm what
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    \what \n
    .endr
    .endm
    .macro each_zmm16 what
    .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \what \n
    .endr
    .endm
    .macro each_mask what
    .irp n, 0,1,2,3,4,5,6,7
    \what \n
    .endr
    .endm
    .macro save_xmm n
    movaps %xmm\n, AREA_XMM+16*\n(%rsp)
    .endm
    .macro restore_xmm n
    movaps AREA_XMM+16*\n(%rsp), %xmm\n
    .endm
    .macro save_zmm16 n
    vmovdqa64 %zmm\n, AREA_ZMM16+64*(\n-16)(%rsp)
    .endm
    .macro restore_zmm16 n
    vmovdqa64 AREA_ZMM16+64*(\n-16)(%rsp), %zmm\n
    .endm
    .macro zero_zmm16 n
    vpxorq %zmm\n, %zmm\n, %zmm\n
    .endm
    .macro save_mask n
    kmovq %k\n, AREA_MASKS+8*\n(%rsp)
    .endm
    .macro restore_mask n
    kmovq AREA_MASKS+8*\n(%rsp), %k\n
    .endm
    .macro zero_mask n
    kxorq %k\n, %k\n, %k\n
    .endm

    .text
    .globl tendril_patched_entry
    .hidden tendril_patched_entry
    .type tendril_patched_entry, @function
tendril_patched_entry:
    .cfi_startproc
    .cfi_def_cfa %rsp, 0
    .cfi_escape RETURN_ADDRESS_IS, RECORD_IN_R11
    // Below the red zone: | flags | rax |. This way, flags cost a third of pushfq and popfq.
    leaq -144(%rsp), %rsp
    .cfi_def_cfa_offset 144
    movq %rax, (%rsp)
    lahf
    seto %al
    movq %rax, 8(%rsp)
    movq (%rsp), %rax
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
    ja .Lspecial
.Lgreen:
    // Green. Below the red zone:
    //   | flags | rbp | r11 | r9 | r8 | r10 | rdx | rsi | rdi | rax | rbx | r12 | r13 | r14 | r15 | …
    //                                                      the frame that C sees begins here ^
    // and below that the vector state, aligned: | XINUSE, MXCSR | XSAVE area, or our own |
    .cfi_remember_state
    movq 8(%rsp), %rax
    addb $0x7f, %al
    sahf
    leaq 16(%rsp), %rsp
    .cfi_def_cfa_offset 128
    pushfq                          // whole this time: C wants the direction flag clear
    .cfi_def_cfa_offset 136
    movq -8(%rsp), %rax
    cld
    testl $ALIGNMENT_FLAG, (%rsp)
    jnz .Laligned                   // C needs no alignment of its accesses
.Lflags_done:
    pushq %rbp
    .cfi_def_cfa_offset 144
    .cfi_offset %rbp, -144
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %r11
    .cfi_escape RETURN_ADDRESS_IS, RECORD_AT_RBP_MINUS_8
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rax
    pushq %rbx                      // these are kept by C; a new thread begins with them
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    subq tendril_vector_area(%rip), %rsp
    andq $-64, %rsp
    movl $ALL_IN_USE, %eax
    cmpb $0, tendril_vectors_told(%rip)
    je 1f
    movl $1, %ecx
    xgetbv                          // what is not in its initial state
1:  movl %eax, (%rsp)
    testl $NEEDS_XSAVE, %eax
    jnz .Lxsave

    // The usual case, several times as fast by hand: no upper halves (vzeroupper came before), no
    // x87; of AVX-512 what libc's string functions leave behind.
    stmxcsr 4(%rsp)
    each_xmm save_xmm
    testl $IN_USE_ZMM16, %eax
    jz 1f
    each_zmm16 save_zmm16
1:  testl $IN_USE_MASKS, %eax
    jz 1f
    each_mask save_mask
1:  call tendril_patched_call
    movl %eax, %r8d
    cmpb $0, tendril_has_avx(%rip)
    je 1f
    vzeroupper                      // of somebody else who ran here meanwhile
1:  each_xmm restore_xmm
    movl (%rsp), %r9d
    movl $1, %ecx
    xgetbv
    testl $IN_USE_ZMM16, %r9d
    jnz 2f
    testl $IN_USE_ZMM16, %eax
    jz 3f
    each_zmm16 zero_zmm16
    jmp 3f
2:  each_zmm16 restore_zmm16
3:  testl $IN_USE_MASKS, %r9d
    jnz 2f
    testl $IN_USE_MASKS, %eax
    jz 3f
    each_mask zero_mask
    jmp 3f
2:  each_mask restore_mask
3:  stmxcsr 8(%rsp)
    movl 4(%rsp), %ecx
    cmpl 8(%rsp), %ecx
    je 1f
    ldmxcsr 4(%rsp)
1:  movl %r8d, %ecx
.Lvectors_done:
    leaq -64(%rbp), %rsp
    popq %rax
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popq %r11
    .cfi_escape RETURN_ADDRESS_IS, RECORD_IN_R11
    popq %rbp
    .cfi_restore %rbp
    .cfi_def_cfa %rsp, 136
    testl %ecx, %ecx
    jnz .Ldeliver
    popfq
    .cfi_def_cfa_offset 128
    leaq 128(%rsp), %rsp
    .cfi_def_cfa_offset 0
    jmp *0(%r11)
.Ldeliver:                          // signals, or the end of a time slice: with a trap's full frame
    .cfi_def_cfa_offset 136
    cmpl $CALL_BY_TRAP, %ecx
    je 1f
    movl $DELIVER_NUMBER, %eax
1:  popfq
    .cfi_def_cfa_offset 128
    leaq 128(%rsp), %rsp
    .cfi_def_cfa_offset 0
    jmp *8(%r11)
.Lspecial:
    .cfi_restore_state
    cmpl $CALL_CLONE, %ecx
    je .Lgreen
.Ltrap:
    movq 8(%rsp), %rax
    addb $0x7f, %al
    sahf
    movq (%rsp), %rax
    leaq 144(%rsp), %rsp
    .cfi_def_cfa_offset 0
    jmp *8(%r11)

.Laligned:
    .cfi_def_cfa_offset 136
    pushfq
    .cfi_def_cfa_offset 144
    andl $~ALIGNMENT_FLAG, (%rsp)
    popfq
    .cfi_def_cfa_offset 136
    jmp .Lflags_done

.Lxsave:
    .cfi_def_cfa %rbp, 144
    .cfi_offset %rbp, -144
    .cfi_escape RETURN_ADDRESS_IS, RECORD_AT_RBP_MINUS_8
    movl $CALL_BY_TRAP, %ecx
    testl $IN_USE_TILES, %eax
    jnz .Lvectors_done
    xorl %eax, %eax                 // XSAVEC leaves these header bytes alone, XRSTOR wants them 0
    movq %rax, 64+528(%rsp)
    movq %rax, 64+536(%rsp)
    movq %rax, 64+544(%rsp)
    movq %rax, 64+552(%rsp)
    movq %rax, 64+560(%rsp)
    movq %rax, 64+568(%rsp)
    movl $XSAVE_MASK, %eax
    xorl %edx, %edx
    xsavec 64(%rsp)
    call tendril_patched_call
    movl %eax, %ecx
    movl $XSAVE_MASK, %eax
    xorl %edx, %edx
    xrstor 64(%rsp)
    jmp .Lvectors_done
    .cfi_endproc
    .size tendril_patched_entry, .-tendril_patched_entry

// In the allowed range, so that it reaches the kernel also from program code.
    .section tendril_allowed,"ax",@progbits

// Instead of the entry, where the site itself says which call it makes, and that call passes: no
// matter who makes it. Changes no flags, so that none need be kept.
    .globl tendril_patched_pass
    .hidden tendril_patched_pass
    .type tendril_patched_pass, @function
tendril_patched_pass:
    .cfi_startproc
    .cfi_def_cfa %rsp, 0
    .cfi_escape RETURN_ADDRESS_IS, RECORD_IN_R11
    leaq -144(%rsp), %rsp           // below the red zone: | r11 | rax |
    .cfi_def_cfa_offset 144
    movq %rax, (%rsp)
    movq %r11, 8(%rsp)
    .cfi_escape RETURN_ADDRESS_IS, RECORD_ABOVE_NUMBER
    syscall
    .globl tendril_patched_pass_done
    .hidden tendril_patched_pass_done
tendril_patched_pass_done:          // see position.cpp
    movq 8(%rsp), %r11
    .cfi_escape RETURN_ADDRESS_IS, RECORD_IN_R11
    leaq 144(%rsp), %rsp
    .cfi_def_cfa_offset 0
    jmp *0(%r11)
    .cfi_endproc
    .size tendril_patched_pass, .-tendril_patched_pass

// Continues the entry.
    .globl tendril_patched_native
    .hidden tendril_patched_native
    .type tendril_patched_native, @function
tendril_patched_native:
    .cfi_startproc
    .cfi_def_cfa %rsp, 144
    .cfi_escape RETURN_ADDRESS_IS, RECORD_IN_R11
    cmpq $(CALL_CLASSES - 1), %rax
    ja 1f
    leaq tendril_call_class(%rip), %rcx
    cmpb $CALL_TRAP, (%rcx,%rax)    // a clone's child would not find R11 on its stack
    jae 2f
    .cfi_remember_state
1:  movq 8(%rsp), %rax
    addb $0x7f, %al
    sahf
    movq (%rsp), %rax
    movq %r11, 8(%rsp)              // | r11 | rax |, as above
    .cfi_escape RETURN_ADDRESS_IS, RECORD_ABOVE_NUMBER
    syscall
    .globl tendril_patched_native_done
    .hidden tendril_patched_native_done
tendril_patched_native_done:        // see position.cpp
    movq 8(%rsp), %r11
    .cfi_escape RETURN_ADDRESS_IS, RECORD_IN_R11
    leaq 144(%rsp), %rsp
    .cfi_def_cfa_offset 0
    jmp *0(%r11)
    .cfi_restore_state
2:  movq 8(%rsp), %rax
    addb $0x7f, %al
    sahf
    movq (%rsp), %rax
    leaq 144(%rsp), %rsp
    .cfi_def_cfa_offset 0
    jmp *8(%r11)
    .cfi_endproc
    .size tendril_patched_native, .-tendril_patched_native

    .section .note.GNU-stack,"",@progbits

// Assembly of the trap front end.
#include "interpose/trap/fs_base.h"
#include "interpose/trap/registers.h"

// ---- The allowed range: `syscall` here never traps, whatever the selector says. It is the whole
// section, to which patch/entry.S adds; the linker marks its ends.
    .section tendril_allowed,"ax",@progbits
    // Restorer of our own signal handlers. Exactly these bytes (48 c7 c0 0f 00 00 00 0f 05): that is
    // how some unwinders know a signal frame. Others read here where a ucontext, which is what the
    // stack pointer points at, holds the registers. The nop keeps "address - 1" out of other
    // functions.
#define SLEB(offset) ((offset) & 0x7f) | 0x80, (offset) >> 7  // of two bytes; breg7 is RSP
#define SAVED(column, offset) .cfi_escape 0x10, column, 3, 0x77, SLEB(GREGS_OFFSET + offset)
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_escape 0x0f, 4, 0x77, SLEB(GREGS_OFFSET + RSP_OFFSET), 0x06  // the CFA is its RSP
    SAVED(0, RAX_OFFSET)
    SAVED(1, RDX_OFFSET)
    SAVED(2, RCX_OFFSET)
    SAVED(3, RBX_OFFSET)
    SAVED(4, RSI_OFFSET)
    SAVED(5, RDI_OFFSET)
    SAVED(6, RBP_OFFSET)
    SAVED(7, RSP_OFFSET)
    SAVED(8, R8_OFFSET)
    SAVED(9, R8_OFFSET + 8)
    SAVED(10, R8_OFFSET + 16)
    SAVED(11, R8_OFFSET + 24)
    SAVED(12, R8_OFFSET + 32)
    SAVED(13, R8_OFFSET + 40)
    SAVED(14, R8_OFFSET + 48)
    SAVED(15, R15_OFFSET)
    SAVED(16, RIP_OFFSET)
    nop
    .globl tendril_restore_rt
    .hidden tendril_restore_rt
    .type tendril_restore_rt, @function
tendril_restore_rt:
    .byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00
    syscall
    .cfi_endproc
    .size tendril_restore_rt, .-tendril_restore_rt

    // How the shim's own code makes system calls, see runtime/platform/syscall.hpp. A call may have
    // had its thread off the CPU (a send wakes the receiver, who takes its place), so what a kernel
    // forgets in the meantime is put back here, see runtime/platform/forgotten_fs_base.hpp: the
    // fault that would notice it costs more than such a call.
    .globl tendril_syscall_gate
    .hidden tendril_syscall_gate
    .type tendril_syscall_gate, @function
tendril_syscall_gate:
    .cfi_startproc
    syscall
    movq tendril_kernel_forgets_fs_base@GOTPCREL(%rip), %rcx  // which the kernel has taken already
    cmpb $0, (%rcx)
    jne 1f
    ret
1:  rdfsbase %rcx
    cmpq $UNREACHABLE_FS_BASE, %rcx
    jne 2f
    movq %gs:RUNNING_FIBER_IN_WORKER, %rcx
    movq FS_BASE_IN_FIBER(%rcx), %rcx
    wrfsbase %rcx
2:  ret
    .cfi_endproc
    .size tendril_syscall_gate, .-tendril_syscall_gate

    // void tendril_sigreturn(void* frame): leaves through the signal frame that begins at `frame`
    // (struct rt_sigframe after its return address). The selector is set to "block" on the way.
    .globl tendril_sigreturn
    .hidden tendril_sigreturn
    .type tendril_sigreturn, @function
tendril_sigreturn:
    movq %rdi, %rsp
    movb $1, %gs:8
    movl $15, %eax
    syscall
    hlt
    .size tendril_sigreturn, .-tendril_sigreturn

    .text
// void tendril_call_on_stack(int, siginfo_t*, void*, void* handler, void* stack)
    .globl tendril_call_on_stack
    .hidden tendril_call_on_stack
    .type tendril_call_on_stack, @function
tendril_call_on_stack:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %r8, %rsp
    call *%rcx
    leave
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size tendril_call_on_stack, .-tendril_call_on_stack

// void tendril_enter_program(const gregset_t*): loads every register and goes to the program.
// RCX and R11 become RIP and the flags, as `syscall` leaves them. The register block must not lie
// on the stack that is entered: a signal may push a frame there at any point from here.
    .globl tendril_enter_program
    .hidden tendril_enter_program
    .type tendril_enter_program, @function
tendril_enter_program:
    movb $1, %gs:8
    .globl tendril_load_registers
    .hidden tendril_load_registers
tendril_load_registers:
    movq R8_OFFSET(%rdi), %r8
    movq R9_OFFSET(%rdi), %r9
    movq R10_OFFSET(%rdi), %r10
    movq EFL_OFFSET(%rdi), %r11
    movq R12_OFFSET(%rdi), %r12
    movq R13_OFFSET(%rdi), %r13
    movq R14_OFFSET(%rdi), %r14
    movq R15_OFFSET(%rdi), %r15
    movq RSI_OFFSET(%rdi), %rsi
    movq RBP_OFFSET(%rdi), %rbp
    movq RBX_OFFSET(%rdi), %rbx
    movq RDX_OFFSET(%rdi), %rdx
    movq RAX_OFFSET(%rdi), %rax
    movq RIP_OFFSET(%rdi), %rcx
    movq RSP_OFFSET(%rdi), %rsp
    movq RDI_OFFSET(%rdi), %rdi
    jmp *%rcx
    .size tendril_enter_program, .-tendril_enter_program

// long tendril_clone_child(long number, const long* arguments, const gregset_t* child_registers,
//                          void (*in_child)(const gregset_t*))
// A clone whose child does not come back through our frames (it has another stack, or shares this
// one with a parent that waits): the child calls in_child and enters the program.
    .globl tendril_clone_child
    .hidden tendril_clone_child
    .type tendril_clone_child, @function
tendril_clone_child:
    .cfi_startproc
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    pushq %r12
    .cfi_def_cfa_offset 24
    .cfi_offset %r12, -24
    pushq %r13
    .cfi_def_cfa_offset 32
    .cfi_offset %r13, -32
    movq %rdx, %rbx
    movq %rcx, %r12
    movq %rdi, %rax
    movq %rsi, %r11
    movq 0(%r11), %rdi
    movq 16(%r11), %rdx
    movq 24(%r11), %r10
    movq 32(%r11), %r8
    movq 40(%r11), %r9
    movq 8(%r11), %rsi
    syscall
    testq %rax, %rax
    jz 1f
    popq %r13
    .cfi_remember_state
    .cfi_def_cfa_offset 24
    popq %r12
    .cfi_def_cfa_offset 16
    popq %rbx
    .cfi_def_cfa_offset 8
    ret
1:  .cfi_restore_state
    movq %rsp, %r13             // a stack given to clone holds the program's data from here up
    subq $128, %rsp
    andq $-16, %rsp
    movq %rbx, %rdi
    call *%r12
    movq %rbx, %rdi
    jmp tendril_load_registers
    .cfi_endproc
    .size tendril_clone_child, .-tendril_clone_child

// long tendril_on_scratch_stack(long (*function)(void* argument, void* frame), void* argument,
//                               void* stack)
// The frame is this function's, the last one on the stack that is left.
    .globl tendril_on_scratch_stack
    .hidden tendril_on_scratch_stack
    .type tendril_on_scratch_stack, @function
tendril_on_scratch_stack:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsp
    movq %rbp, %rsi
    call *%rax
    leave
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size tendril_on_scratch_stack, .-tendril_on_scratch_stack

    .section .note.GNU-stack,"",@progbits

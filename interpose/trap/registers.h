// Offsets into gregset_t (sys/ucontext.h), for assembly; checked in trap.cpp.
#pragma once

#define GREGS_OFFSET 40  // of the whole in a ucontext_t

#define R8_OFFSET 0
#define R9_OFFSET 8
#define R10_OFFSET 16
#define R11_OFFSET 24
#define R12_OFFSET 32
#define R13_OFFSET 40
#define R14_OFFSET 48
#define R15_OFFSET 56
#define RDI_OFFSET 64
#define RSI_OFFSET 72
#define RBP_OFFSET 80
#define RBX_OFFSET 88
#define RDX_OFFSET 96
#define RAX_OFFSET 104
#define RCX_OFFSET 112
#define RSP_OFFSET 120
#define RIP_OFFSET 128
#define EFL_OFFSET 136

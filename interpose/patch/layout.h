// Constants shared by assembly and C++; checked in patched_call.cpp.
#pragma once

#define CALL_CLASSES 512
#define CALL_NATIVE 0  // the kernel does it, straight from assembly
#define CALL_GREEN 1   // the dispatcher does it, without a signal frame
#define CALL_TRAP 2    // needs the signal frame of a trap
#define CALL_CLONE 3   // green if it makes a thread, else needs that frame

// What tendril_patched_call says.
#define CALL_DONE 0
#define CALL_DELIVER 1  // signals have to be delivered, or the time slice has ended
#define CALL_BY_TRAP 2  // nothing is done yet

#define DELIVER_NUMBER 0x54454e44

#define ALIGNMENT_FLAG 0x40000  // AC, of EFLAGS

// x87, SSE, AVX, AVX-512; not PKRU, which belongs to the thread and is not clobbered by us.
#define XSAVE_MASK 0xe7

// Of XINUSE: the components that are not in their initial state.
#define IN_USE_MASKS 0x20
#define IN_USE_ZMM16 0x80
#define IN_USE_TILES 0x60000  // AMX: 8 KB, which only a signal frame has room for
#define NEEDS_XSAVE 0x60045   // x87, upper halves of YMM and of ZMM: saved by XSAVEC; or tiles
#define ALL_IN_USE 0xe7       // where it cannot be asked

// Where we save vectors ourselves, above the stack pointer.
#define AREA_XMM 64
#define AREA_ZMM16 320
#define AREA_MASKS 1344
#define AREA_SIZE 1408

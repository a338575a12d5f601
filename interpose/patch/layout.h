// Constants shared by assembly and C++; checked in patched_call.cpp.
#pragma once

#define CALL_CLASSES 512
#define CALL_NATIVE 0  // the kernel does it, straight from assembly
#define CALL_GREEN 1   // the dispatcher does it, without a signal frame
#define CALL_TRAP 2    // needs the signal frame of a trap

#define DELIVER_NUMBER 0x54454e44

// x87, SSE, AVX, AVX-512; not PKRU, which belongs to the thread and is not clobbered by us.
#define XSAVE_MASK 0xe7

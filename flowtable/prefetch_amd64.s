#include "textflag.h"

// Into the second-level cache (T1): it can have more misses under way than the
// first, which would hold the burst up.

// func prefetchPrimary(base unsafe.Pointer, buckets uint64, hashes []uint64)
TEXT ·prefetchPrimary(SB), NOSPLIT, $0-40
	MOVQ base+0(FP), DI
	MOVQ buckets+8(FP), R8
	MOVQ hashes_base+16(FP), SI
	MOVQ hashes_len+24(FP), CX
	TESTQ CX, CX
	JZ   done

next:
	MOVQ (SI), AX
	SHRQ $32, AX
	IMULQ R8, AX
	SHRQ $32, AX            // Table.primary
	SHLQ $6, AX
	PREFETCHT1 (DI)(AX*1)
	ADDQ $8, SI
	DECQ CX
	JNZ  next

done:
	RET

// func prefetchSecondary(base unsafe.Pointer, buckets uint64, hashes []uint64)
//
// Without a branch on the overflow count, which could not be predicted: where
// it is zero, the primary, already at hand, is what is prefetched.
TEXT ·prefetchSecondary(SB), NOSPLIT, $0-40
	MOVQ base+0(FP), DI
	MOVQ buckets+8(FP), R8
	MOVQ hashes_base+16(FP), SI
	MOVQ hashes_len+24(FP), CX
	LEAQ -1(R8), R9
	TESTQ CX, CX
	JZ   done

next:
	MOVQ (SI), AX
	MOVL AX, BX
	SHRQ $32, AX
	IMULQ R8, AX
	SHRQ $32, AX            // Table.primary
	IMULQ R9, BX
	SHRQ $32, BX
	CMPQ BX, AX
	SBBQ $-1, BX            // Table.secondary
	SHLQ $6, AX
	SHLQ $6, BX
	CMPB 63(DI)(AX*1), $0   // bucket.overflow
	CMOVQEQ AX, BX
	PREFETCHT1 (DI)(BX*1)
	ADDQ $8, SI
	DECQ CX
	JNZ  next

done:
	RET

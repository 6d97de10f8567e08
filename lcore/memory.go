package lcore

import (
	"errors"
	"strconv"
	"syscall"
	"unsafe"
)

// mapMemory returns size zeroed bytes off the Go heap, so that the garbage collector neither scans them nor sizes
// itself by them, and so that they may be shared with C. The pages are taken when they are first written.
func mapMemory(size int) (unsafe.Pointer, error) {
	mem, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, errors.Join(errors.New("map "+strconv.Itoa(size>>10)+" KiB of memory: free some, or raise the limit (ulimit -v)"), err)
	}
	return unsafe.Pointer(unsafe.SliceData(mem)), nil
}

// unmapMemory gives back what mapMemory returned. Nothing may look at it afterwards.
func unmapMemory(base unsafe.Pointer, size int) error {
	return syscall.Munmap(unsafe.Slice((*byte)(base), size))
}

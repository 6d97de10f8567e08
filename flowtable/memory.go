package flowtable

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	maxEntries   = 1 << 30 // 64 GiB; the bucket choice would do up to 1<<32
	hugePageSize = 2 << 20
	pageSize     = 4 << 10

	madvPopulateWrite = 23 // MADV_POPULATE_WRITE, Linux 5.14; not in package syscall
)

// New returns an empty table for this many live flows, hashed with key, which
// should be random and is not stored anywhere else. It takes 64 bytes per flow
// (one bucket more for a table of one), touched here so that a thread that is
// bound to a CPU gets memory of that CPU's node.
//
// It fails if entries is below 1 or beyond 1<<30, or if the memory cannot be had.
func New(entries int, key [2]uint64) (*Table, error) {
	if entries < 1 {
		return nil, fmt.Errorf("flow table of %d entries: must have at least 1 (each takes %d bytes)", entries, bucketSize)
	}
	if entries > maxEntries {
		return nil, fmt.Errorf("flow table of %d entries: would take %s; at most %d (%s)",
			entries, sizeOf(entries), maxEntries, sizeOf(maxEntries))
	}
	buckets := max(entries, 2) // a key's two buckets are never the same one
	memory, backing, err := mapMemory(buckets * bucketSize)
	if err != nil {
		return nil, fmt.Errorf("flow table of %d entries (%s): %w; give it fewer entries or the machine more memory",
			entries, sizeOf(entries), err)
	}
	return &Table{
		base:    unsafe.Pointer(&memory[0]),
		buckets: uint64(buckets),
		seed:    [2]uint64{key[0] ^ 0x243f6a8885a308d3, key[1] ^ 0x13198a2e03707344}, // pi: a key of zeros hashes well too
		memory:  memory,
		backing: backing,
	}, nil
}

// Close gives the memory back. The table and its flows are then dead.
func (t *Table) Close() error {
	memory := t.memory
	t.memory, t.base, t.buckets = nil, nil, 0
	if memory == nil {
		return nil
	}
	if err := syscall.Munmap(memory); err != nil {
		return fmt.Errorf("unmap flow table: %w", err)
	}
	return nil
}

// Backing tells what the memory is made of: "hugetlb" (reserved huge
// "thp" (transparent huge pages) or "pages" (4 KiB pages: look-ups in a table
// beyond the caches take about twice as long).
func (t *Table) Backing() string { return t.backing }

// mapMemory returns zeroed memory with all its pages present, and its Backing.
func mapMemory(size int) ([]byte, string, error) {
	if m, err := mapHugeTLB(size); err == nil {
		return m, "hugetlb", nil
	}
	if free := availableMemory(); size > free {
		return nil, "", fmt.Errorf("only %s of memory is available", formatBytes(float64(free)))
	}
	m, err := mapAnonymous(size, 0)
	if err != nil {
		return nil, "", err
	}
	advised := syscall.Madvise(m, syscall.MADV_HUGEPAGE) == nil
	if syscall.Madvise(m, madvPopulateWrite) != nil {
		touchPages(m)
	}
	if advised && hugeBytes(m) >= size/2 {
		return m, "thp", nil
	}
	return m, "pages", nil
}

// mapHugeTLB fails where too few huge pages are reserved. Populating by advice
// and not by touching turns a lack on this node or in this cgroup into an
// error where it would be a bus error later.
func mapHugeTLB(size int) ([]byte, error) {
	rounded := (size + hugePageSize - 1) &^ (hugePageSize - 1)
	m, err := mapAnonymous(rounded, syscall.MAP_HUGETLB)
	if err != nil {
		return nil, err
	}
	if err := syscall.Madvise(m, madvPopulateWrite); err != nil {
		return nil, errors.Join(err, syscall.Munmap(m))
	}
	return m, nil
}

func mapAnonymous(size, flags int) ([]byte, error) {
	m, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|flags)
	if err != nil {
		return nil, fmt.Errorf("map memory: %w", err)
	}
	return m, nil
}

func touchPages(m []byte) {
	for i := 0; i < len(m); i += pageSize {
		m[i] = 0
	}
}

// availableMemory is what can be had without swapping, or the largest int
// where the kernel does not say.
func availableMemory() int {
	info, _ := os.ReadFile("/proc/meminfo")
	if n, ok := kilobytes(string(info), "MemAvailable:"); ok {
		return n
	}
	return int(^uint(0) >> 1)
}

// hugeBytes returns how much of m the kernel has made of transparent huge
// pages: advice succeeds even where they are switched off.
func hugeBytes(m []byte) int {
	smaps, _ := os.ReadFile("/proc/self/smaps")
	address := uint64(uintptr(unsafe.Pointer(&m[0])))
	for text := string(smaps); text != ""; {
		mapping, rest, _ := strings.Cut(text, "VmFlags:")
		_, text, _ = strings.Cut(rest, "\n")
		if holds(mapping, address) {
			n, _ := kilobytes(mapping, "AnonHugePages:")
			return n
		}
	}
	return 0
}

// holds tells whether a mapping as in /proc/PID/smaps ("start-end perms ...", hexadecimal) has the address.
func holds(mapping string, address uint64) bool {
	bounds, _, _ := strings.Cut(mapping, " ")
	low, high, _ := strings.Cut(bounds, "-")
	start, err1 := strconv.ParseUint(low, 16, 64)
	end, err2 := strconv.ParseUint(high, 16, 64)
	return err1 == nil && err2 == nil && start <= address && address < end
}

// kilobytes returns, in bytes, the value of a "Name:   123 kB" line of a /proc file.
func kilobytes(text, name string) (int, bool) {
	_, after, found := strings.Cut(text, name)
	if !found {
		return 0, false
	}
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.Atoi(number)
	return n << 10, err == nil
}

func sizeOf(entries int) string { return formatBytes(float64(entries) * bucketSize) }

func formatBytes(n float64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", n/(1<<30))
}

// Package frame holds views over the bytes of a frame: Ethernet, ARP, IPv4, TCP, UDP and ICMP.
//
// A view is a pointer to an array laid over the frame. Its accessors are one line, never check and never copy, so the
// caller first makes sure that the frame is long enough: Ethernet's length, then what CheckIPv4 finds.
// Numbers are given in host order; an IPv4 address is the big-endian value of its four bytes.
package frame

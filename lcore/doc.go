// Package lcore is the data plane: what runs on a forwarding lcore.
//
// # A packet's path
//
// A Worker runs one loop over one receive queue on one lcore. RSS puts every packet of a flow on the same lcore, so each
// owns its flow table and counters alone: there is no lock, channel, allocation, map, clock or log line on the path.
// A turn of the loop takes up to 64 frames, a burst, through these steps:
//
//  1. Turn (worker.go, burst.go): one call into the queue sends off the burst before as its verdicts say, sends what
//     waits in the inject ring, receives the next burst and reads the TSC.
//  2. The snapshot in force is loaded, once for the burst, and the TSC becomes a tick of the flow table's clock.
//  3. inspect, stage 1 (forward.go): each frame's headers alone decide, first refusal wins: too short, ours, not for us;
//     not IPv4, malformed; not for a service; from one who may not send to this VIP. What is left is a pending flow:
//     its key is hashed, and the buckets of all of them are brought towards the CPU at once.
//  4. choose, stage 2 (forward.go): each pending flow is looked up. A known one stays with its real server, unless that
//     has gone, or a SYN opens a new connection with its ports; a packet that changes its state is counted for what it
//     tells of that server's handshakes (handshake.go). A new one gets a real server from its service's
//     scheduler and an entry in the flow table; where there is no room the packet's hash alone decides, for each packet
//     anew and each time alike.
//  5. rewrite, stage 3 (forward.go): the destination MAC becomes the real server's, the source MAC the port's own.
//     Nothing else in the frame changes. What has no real server is dropped, or punted so that its client is told.
//     Some of the frames that were dropped are then copied into the black box (blackbox.go); where somebody captures
//     (capture.go), frames are copied before and after this stage.
//  6. tidy (worker.go): some buckets of the flow table are swept of expired flows, those that left are taken off their
//     real server's counts, and a question in the mailbox is answered.
//  7. count (worker.go): what the turn did is added to the lcore's counters.
//
// A frame has one of three verdicts: Drop, the zero value, always with a Reason; Forward; or Punt, a copy for the
// management by way of a ring. So the books balance once a worker has stopped:
//
//	received + injected + generated = sent + refused by the tx ring + punted + dropped
//
// # Memory and threads
//
// Frames, bursts, rings, counters and the flow table lie off the Go heap. Snapshots lie on it: they are made by
// Compile, never changed, and published by one atomic pointer; Counters.Epoch tells which of them an lcore has moved on
// to. Counters are written by plain stores of 8 bytes and read by atomic loads. What all lcores share and change are the
// persistence templates, looked at when a flow of a service with persistence begins or ends, and then only.
//
// # Reading order
//
// verdict.go (what can become of a frame), burst.go (frames in and out), worker.go (the loop), forward.go (the three
// stages), schedule.go (who gets a new flow), persist.go (and who where clients keep their real server), handshake.go
// (what clients' packets tell of real servers); snapshot.go, lookup.go and filter.go (what the stages look at), limits.go
// (how much is punted), assign.go (which lcore polls which queue), counters.go, mailbox.go (asking an lcore), explain.go
// (what would become of a packet), rss.go (which queue it comes to), blackbox.go (the latest dropped frames), capture.go
// (copies of forwarded ones), clock.go, ring.go (frames to and from the management), memory.go.
package lcore

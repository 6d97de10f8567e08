// Package director owns the desired state and turns it into what the lcores forward by.
//
// One goroutine (Director.Run) does all changes, whoever asks for them: the file, the API, health, neighbours, the role.
// It hands out ids (registry.go), lets sched build tables and compiles the snapshot (compile.go), and publishes that to
// the lcores together with a view of what is in force. Readers (read.go, flows.go, metrics.go) take the view and the
// lcores' counters; they never wait for the goroutine.
package director

package lcore

// Step makes one turn of the loop, as Run does.
func (w *Worker) Step() { w.turn() }

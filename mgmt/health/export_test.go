package health

// Opened for tests.
var Shorten = shorten

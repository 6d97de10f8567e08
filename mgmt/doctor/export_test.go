package doctor

// Described is a check as docs/doctor.md has it.
type Described = described

// Tables are all checks: of the host, of the desired state, of a running director.
func Tables() (host, services, director []Described) {
	return describe(hostChecks()), describe(serviceChecks), describe(directorChecks)
}

// Cells are the columns of the table.
func (d described) Cells() (name, fine, why string) { return d.name, d.fine, d.why }

package oracle

// An exception is a fixture of which certproxy takes something else than the
// oracles that accept it, because its specification says so. What certproxy takes
// stands with the fixture.
type exception struct {
	fixture string
	theirs  string // what the oracles take
	because string // the sentence of the specification
}

func exceptions() []exception {
	const (
		dots = "Names that start with a dot and sub-directories are skipped."
		bom  = "Text before the PEM block, CRLF and a BOM are fine."
	)
	return []exception{
		{"a pair named with a dot", "the pair .hidden too", dots},
		{"a pair with no name", "the pair of .cert and .key too", dots},
		{"a CA root named with a dot", "two CA roots", dots},
		{"a CA root behind a BOM", "no CA root: Go finds no PEM block behind a BOM, and nobody is told", bom},
	}
}

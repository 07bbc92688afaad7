package proxy

import "os"

// spoolMemory is how much of one body replays keep in memory before a file takes the rest.
const spoolMemory = 1 << 20

// A spool keeps bytes so that they can be read again: the first in memory, the rest
// in a file that has no name, so that nobody else can open it and nothing is left
// behind however the process ends.
type spool struct {
	dir    string  // of the file; "" is the system's for temporary files
	memory int     // how many bytes are kept in memory
	budget *budget // of the memory of all spools
	mem    []byte
	file   *os.File
	size   int64
}

// append keeps b. After an error the spool holds what it held before.
func (s *spool) append(b []byte) error {
	rest := b
	if s.file == nil {
		n := min(len(b), s.room(len(b)))
		s.mem, rest = append(s.mem, b[:n]...), b[n:]
	}
	if len(rest) > 0 {
		if err := s.write(rest); err != nil {
			s.mem = s.mem[:min(int64(len(s.mem)), s.size)]
			return err
		}
	}
	s.size += int64(len(b))
	return nil
}

// room returns how many bytes can be kept in memory now, having tried to make room for n.
func (s *spool) room(n int) int {
	if free := cap(s.mem) - len(s.mem); n <= free {
		return free
	}
	size := min(max(2*cap(s.mem), len(s.mem)+n, 4<<10), s.memory)
	if more := size - cap(s.mem); more > 0 && s.budget.take(more) {
		s.mem = append(make([]byte, 0, size), s.mem...)
	}
	return cap(s.mem) - len(s.mem)
}

func (s *spool) write(b []byte) error {
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "certproxy-replay-*") // made with mode 0600
		if err != nil {
			return err
		}
		if err := os.Remove(file.Name()); err != nil {
			_ = file.Close()
			return err
		}
		s.file = file
	}
	_, err := s.file.WriteAt(b, max(s.size-int64(len(s.mem)), 0))
	return err
}

// readAt reads what is kept from off on, which must be below size.
func (s *spool) readAt(p []byte, off int64) (int, error) {
	if off < int64(len(s.mem)) {
		return copy(p, s.mem[off:]), nil
	}
	n := min(int64(len(p)), s.size-off)
	return s.file.ReadAt(p[:n], off-int64(len(s.mem)))
}

// close forgets all that is kept.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.budget.give(cap(s.mem))
	s.mem, s.file, s.size = nil, nil, 0
}

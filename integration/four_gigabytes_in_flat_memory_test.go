package integration

import (
	"crypto/tls"
	"debug/buildinfo"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// flat is more memory than certproxy ever needs, however much goes through it.
const flat = 64 << 20

// Beside nothing else: it moves gigabytes.
//
// 4 GiB go up and come down whole, through a certproxy whose memory stays flat.
func TestFourGigabytesGoThroughInFlatMemory(t *testing.T) {
	const size = 4<<30 + 1
	s := patternServer(t)
	proxy := patternProxy(t, s, s.Good)
	t.Run("up", func(t *testing.T) { sendPattern(t, proxy, s, size, true) })
	t.Run("down", func(t *testing.T) { fetchPattern(t, proxy, s, size) })
	staysFlat(t, proxy)
}

// Beside nothing else: it moves gigabytes.
//
// An upload of more than certproxy keeps, so that it could send it again with
// another pair, goes through all the same, behind pairs that are refused and before
// one that is never needed. Memory stays flat then too.
func TestUploadLargerThanWhatIsKeptGoesThroughInFlatMemory(t *testing.T) {
	const size = 1<<30 + 200<<20 // 1 GiB is kept
	s := patternServer(t)
	for name, pairs := range map[string][]*throwaway.Certificate{
		"the good pair is the last": {s.Expired, s.Wrong, s.Good},
		"the good pair is between":  {s.Expired, s.Good, s.Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := patternProxy(t, s, pairs...)
			sendPattern(t, proxy, s, size, false)
			staysFlat(t, proxy)
		})
	}
}

// patternServer requires a certificate. It takes what is PUT, and says what it got,
// and serves as much of the pattern as is asked for.
func patternServer(t *testing.T) *rig.Server {
	t.Helper()
	id := rig.NewIdentities(t, name)
	return rig.ServeTLS(t, id, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, http.HandlerFunc(servePattern))
}

func servePattern(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		sum := newSum()
		n, err := io.CopyBuffer(onlyWriter{sum}, r.Body, make([]byte, 256<<10))
		fmt.Fprintf(w, "%d bytes, sum %x, %v", n, sum.Sum(nil), err)
		return
	}
	size, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// If it breaks off, the client misses something.
	_, _ = io.CopyBuffer(onlyWriter{w}, newPattern(size), make([]byte, 256<<10))
}

// onlyWriter keeps io.CopyBuffer from using a small buffer of its own.
type onlyWriter struct{ io.Writer }

func patternProxy(t *testing.T, s *rig.Server, pairs ...*throwaway.Certificate) *rig.Certproxy {
	t.Helper()
	certs := rig.Dir(t)
	s.HostDir(certs, hostOf(s), pairs...)
	return rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
}

func sendPattern(t *testing.T, proxy *rig.Certproxy, s *rig.Server, size int64, known bool) {
	t.Helper()
	body, sum := newPattern(size), newSum()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://"+hostOf(s)+"/", io.TeeReader(body, sum))
	if err != nil {
		t.Fatal(err)
	}
	if known {
		request.ContentLength = size
	}
	answer := overPattern(t, proxy, request)
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if want := fmt.Sprintf("%d bytes, sum %x, <nil>", size, sum.Sum(nil)); err != nil || string(got) != want {
		t.Errorf("answered %s %q, %v; want %q", answer.Status, got, err, want)
	}
}

func fetchPattern(t *testing.T, proxy *rig.Certproxy, s *rig.Server, size int64) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%s/%d", hostOf(s), size), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := overPattern(t, proxy, request)
	defer answer.Body.Close()
	want, got := newSum(), newSum()
	io.Copy(want, newPattern(size)) // neither can fail
	n, err := io.CopyBuffer(onlyWriter{got}, answer.Body, make([]byte, 256<<10))
	if err != nil || n != size || got.Sum32() != want.Sum32() {
		t.Errorf("answered %s and %d bytes with sum %x, %v; want %d with %x", answer.Status, n, got.Sum(nil), err, size, want.Sum(nil))
	}
}

func overPattern(t *testing.T, proxy *rig.Certproxy, request *http.Request) *http.Response {
	t.Helper()
	client := proxy.Client(t)
	client.Timeout = 0 // it takes as long as it takes
	began := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s answered %s after %v", request.Method, answer.Status, time.Since(began).Round(time.Millisecond))
	return answer
}

// staysFlat looks at the most memory that the process ever had at once. The race
// detector needs many times as much by itself.
func staysFlat(t *testing.T, proxy *rig.Certproxy) {
	t.Helper()
	for line := range strings.Lines(string(rig.Read(t, fmt.Sprintf("/proc/%d/status", proxy.PID())))) {
		value, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("certproxy had at most %.1f MiB", float64(kib)/1024)
		if kib<<10 > flat && !raceDetected(t) {
			t.Errorf("certproxy had %d KiB at once; want at most %d", kib, flat>>10)
		}
		return
	}
	t.Fatal("no VmHWM in /proc/PID/status")
}

func raceDetected(t *testing.T) bool {
	t.Helper()
	info, err := buildinfo.ReadFile(rig.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// A pattern is a body that costs nothing to make and in which no two blocks are the
// same.
type pattern struct {
	left  int64
	block []byte
	at    int
	count uint64
}

func newPattern(size int64) *pattern {
	p := &pattern{left: size, block: make([]byte, 1<<20)}
	rand.NewChaCha8([32]byte{9}).Read(p.block)
	return p
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if p.at == 0 {
		p.count++
		binary.BigEndian.PutUint64(p.block, p.count)
	}
	n := copy(b, p.block[p.at:p.at+int(min(p.left, int64(len(p.block)-p.at)))])
	p.left -= int64(n)
	p.at = (p.at + n) % len(p.block)
	return n, nil
}

// newSum is a checksum that is faster than the network.
func newSum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

package proxy

import (
	"strings"
	"testing"
)

func TestViaOfARequestNamesTheProxyBehindAllOthers(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		arrived := make(chan arrival, 2)
		w.serve(receiving(arrived))
		for _, others := range [][]string{nil, {"1.0 fred, 1.1 p.example.net (Apache/1.1)", "2 other"}} {
			req := w.request("GET", "/", nil)
			req.Header["Via"] = others
			w.send(req)
			ours := strings.TrimPrefix(strings.Replace(w.proto, "HTTP/2", "HTTP/2.0", 1), "HTTP/") + " " + w.rig.proxy.pseudonym
			want := strings.Join(append(others[:len(others):len(others)], ours), ", ")
			if got := strings.Join(await(t, "the request", arrived).fields["Via"], ", "); got != want {
				t.Errorf("the server saw Via %q, want %q", got, want)
			}
		}
	})
}

func TestViaOfAnAnswerSaysHowItCame(t *testing.T) {
	everyWay(t, []string{proto10, proto11, proto2}, func(t *testing.T, w *way) {
		for answer, want := range map[string]string{
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                                    "1.1 certproxy",
			"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                    "1.0 certproxy",
			"HTTP/1.1 200 OK\r\nVia: 1.0 origin\r\nVia: 1.1 cdn\r\nContent-Length: 0\r\n\r\n": "1.0 origin, 1.1 cdn, 1.1 certproxy",
		} {
			w.serve(verbatim(answer))
			resp, _ := w.send(w.request("GET", "/", nil))
			want = strings.Replace(want, "certproxy", w.rig.proxy.pseudonym, 1)
			if got := strings.Join(resp.Header["Via"], ", "); got != want {
				t.Errorf("Via is %q, want %q", got, want)
			}
		}
	})
}

package proxy

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// trailing answers with the body and the trailers that the query asks for.
func trailing(w http.ResponseWriter, req *http.Request) {
	announced, late := req.URL.Query().Has("announced"), req.URL.Query().Has("late")
	if announced {
		w.Header().Set("Trailer", "X-Announced")
	}
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, req.URL.Query().Get("body"))
	_ = http.NewResponseController(w).Flush()
	if announced {
		w.Header()["X-Announced"] = []string{"one", "two"}
	}
	if late {
		w.Header().Set(http.TrailerPrefix+"X-Late", "three")
	}
}

func TestTrailersOfAnAnswerReachTheClientAnnouncedOrNot(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		w.serve(trailing)
		for query, want := range map[string]map[string][]string{
			"announced&body=text":      {"X-Announced": {"one", "two"}},
			"announced":                {"X-Announced": {"one", "two"}},
			"late&body=text":           {"X-Late": {"three"}},
			"late":                     {"X-Late": {"three"}},
			"announced&late&body=text": {"X-Announced": {"one", "two"}, "X-Late": {"three"}},
		} {
			resp, err := w.client().Do(w.request("GET", "/?"+query, nil))
			if err != nil {
				t.Fatal(err)
			}
			if _, announced := resp.Trailer["X-Announced"]; announced != strings.HasPrefix(query, "announced") {
				t.Errorf("%s: before the body the trailers announced are %v", query, resp.Trailer)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || strings.HasSuffix(query, "text") != (string(body) == "text") {
				t.Errorf("%s: %q, %v", query, body, err)
			}
			if !maps.EqualFunc(resp.Trailer, want, slices.Equal) {
				t.Errorf("%s: the trailers are %v, want %v", query, resp.Trailer, want)
			}
			for name := range want {
				if _, early := resp.Header[name]; early {
					t.Errorf("%s: %s is in the header", query, name)
				}
			}
		}
	})
}

// HTTP/1.0 has no trailers: they would be taken for a part of the body.
func TestTrailersAreNotSentToAClientThatKnowsNone(t *testing.T) {
	everyWay(t, []string{proto10}, func(t *testing.T, w *way) {
		w.serve(trailing)
		if resp, body := w.send(w.request("GET", "/?announced&late&body=text", nil)); body != "text" || len(resp.TransferEncoding) > 0 {
			t.Errorf("%q, coded %v", body, resp.TransferEncoding)
		}
	})
}

func TestTrailersOfAnUploadReachTheServer(t *testing.T) {
	everyWay(t, []string{proto11, proto2}, func(t *testing.T, w *way) {
		got := make(chan string, 1)
		w.serve(func(_ http.ResponseWriter, req *http.Request) {
			_, announced := req.Trailer["X-Sum"]
			body, err := io.ReadAll(req.Body)
			got <- fmt.Sprintf("%v %s %v %v", announced, body, err, req.Trailer["X-Sum"])
		})
		req := w.request("PUT", "/", io.MultiReader(strings.NewReader("the body")))
		req.Trailer = http.Header{"X-Sum": {"abc", "def"}}
		w.send(req)
		if saw, want := await(t, "the request", got), "true the body <nil> [abc def]"; saw != want {
			t.Errorf("the server saw %q, want %q", saw, want)
		}
	})
}

// A sender of chunks may come up with a trailer while it sends.
func TestATrailerThatAnUploadDidNotAnnounceReachesTheServer(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		got := make(chan string, 1)
		w.serve(func(_ http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			got <- fmt.Sprintf("%s %v %v", body, err, req.Trailer["X-Late"])
		})
		conn, br := w.secure(w.host, "localhost")
		ask(t, conn, br, "PUT / HTTP/1.1", "Host: "+w.host, "Transfer-Encoding: chunked", "", "8", "the body", "0", "X-Late: abc")
		if saw, want := await(t, "the request", got), "the body <nil> [abc]"; saw != want {
			t.Errorf("the server saw %q, want %q", saw, want)
		}
	})
}

// What a client says to the proxy is no more the host's behind a body than before it. In
// HTTP/2, net/http refuses the request for it.
func TestTheProxysCredentialsBehindABodyAreNotTheHosts(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(func(rw http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = fmt.Fprint(rw, req.Trailer)
		})
		req := w.request("POST", "/", io.NopCloser(strings.NewReader("body")))
		req.ContentLength = -1
		req.Trailer = http.Header{"X-Sum": {"1"}, "Proxy-Authorization": {"Basic c2VjcmV0"}}
		resp, err := w.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), "X-Sum:[1]") || strings.Contains(string(body), "c2VjcmV0") {
			t.Errorf("the host got the trailers %s, %v", body, err)
		}
	})
}

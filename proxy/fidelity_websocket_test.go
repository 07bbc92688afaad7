package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// chat is a server that greets, sends back what it gets, and ends when told to.
func chat(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		conn, err := websocket.Accept(w, req, &websocket.AcceptOptions{
			Subprotocols: []string{"v2.chat", "v1.chat"}, CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(-1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := conn.Write(ctx, websocket.MessageText, []byte("hello from the server")); err != nil {
			t.Error(err)
		}
		for {
			kind, message, err := conn.Read(ctx)
			if err != nil {
				return // the client has ended it
			}
			if string(message) == "bye" {
				_ = conn.Close(websocket.StatusGoingAway, "as you wish")
				return
			}
			if err := conn.Write(ctx, kind, message); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAWebSocketWorksThroughTheProxy(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(chat(t))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, "wss://"+w.host+"/socket?room=1", &websocket.DialOptions{
			HTTPClient: w.client(), Subprotocols: []string{"v1.chat"}, CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(-1)
		if conn.Subprotocol() != "v1.chat" {
			t.Errorf("subprotocol %q", conn.Subprotocol())
		}
		expect := func(kind websocket.MessageType, want string) {
			t.Helper()
			if got, message, err := conn.Read(ctx); err != nil || got != kind || string(message) != want {
				t.Fatalf("a %v of %d bytes came, %v; want a %v of %d", got, len(message), err, kind, len(want))
			}
		}
		expect(websocket.MessageText, "hello from the server")
		for _, message := range []string{"", "x", strings.Repeat("long ", 1<<18)} {
			for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
				if err := conn.Write(ctx, kind, []byte(message)); err != nil {
					t.Fatal(err)
				}
				expect(kind, message)
			}
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
			t.Fatal(err)
		}
		_, _, err = conn.Read(ctx)
		var end websocket.CloseError
		if !errors.As(err, &end) || end.Code != websocket.StatusGoingAway || end.Reason != "as you wish" {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestAPingIsAnsweredByTheOtherEnd(t *testing.T) {
	everyWay(t, []string{proto11}, func(t *testing.T, w *way) {
		w.serve(chat(t))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, "wss://"+w.host+"/", &websocket.DialOptions{HTTPClient: w.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		if _, _, err := conn.Read(ctx); err != nil {
			t.Fatal(err)
		}
		conn.CloseRead(ctx) // reads pongs
		if err := conn.Ping(ctx); err != nil {
			t.Error(err)
		}
	})
}

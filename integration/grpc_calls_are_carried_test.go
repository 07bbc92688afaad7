package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

const largeMessage = 16 << 20

// Calls of every kind between a grpc-go client that knows of no client certificate
// and a grpc-go server that demands one: with the good pair alone, and with two
// before it that the server refuses by an alert. Each kind of call is the first
// that meets those.
func TestGRPCCallsOfEveryKindAreCarried(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	refusing := newGRPCService(t, id)
	for _, pair := range []*throwaway.Certificate{nil, id.Expired, id.Wrong} {
		isRefused(t, refusing.Server, "/", pair, refusal{alert: "certificate"})
	}
	for _, c := range []struct {
		name string
		call func(*testing.T, context.Context, *grpcService, testgrpc.TestServiceClient)
	}{
		{"unary", unaryCall},
		{"server streaming", serverStreaming},
		{"client streaming", clientStreaming},
		{"each message answered before the next", pingPong},
		{"a large message", largeMessages},
		{"statuses", statuses},
		{"canceled", canceledCall},
	} {
		for order, pairs := range map[string][]*throwaway.Certificate{
			"good": {id.Good}, "expired, wrong, good": {id.Expired, id.Wrong, id.Good},
		} {
			t.Run(c.name+"/"+order, func(t *testing.T) {
				t.Parallel()
				s, certs := newGRPCService(t, id), rig.Dir(t)
				s.HostDir(certs, hostOf(s.Server), pairs...)
				proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
				ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
				defer cancel()
				c.call(t, ctx, s, testgrpc.NewTestServiceClient(dialGRPC(t, proxy, hostOf(s.Server))))
			})
		}
	}
}

// dialGRPC returns a client that reaches the host through certproxy and trusts its CA.
func dialGRPC(t *testing.T, proxy *rig.Certproxy, host string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+host,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: proxy.Roots(t)})),
		// What grpc-go does with HTTPS_PROXY, which it reads once in a process.
		grpc.WithContextDialer(func(ctx context.Context, authority string) (net.Conn, error) {
			return connect(ctx, proxy, authority)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largeMessage+1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func connect(ctx context.Context, proxy *rig.Certproxy, authority string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp4", proxy.Addr)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority)
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	if err != nil {
		c.Close()
		return nil, err
	}
	answer.Body.Close() // there is none
	if answer.StatusCode != http.StatusOK {
		c.Close()
		return nil, fmt.Errorf("CONNECT %s: %s", authority, answer.Status)
	}
	return c, nil
}

// What a call carries both ways beside its messages, and how it comes back.
func withMetadata(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, echoKey, "a value, and another", binaryKey, "\x00\xff\x01")
}

func cameBack(t *testing.T, what string, md metadata.MD) {
	t.Helper()
	for key, want := range map[string]string{clientKey: "good", echoKey: "a value, and another", binaryKey: "\x00\xff\x01"} {
		if got := md.Get(key); len(got) != 1 || got[0] != want {
			t.Errorf("the %s has %s: %q; want %q", what, key, got, want)
		}
	}
}

func unaryCall(t *testing.T, ctx context.Context, _ *grpcService, client testgrpc.TestServiceClient) {
	var header, trailer metadata.MD
	got, err := client.UnaryCall(withMetadata(ctx), &testgrpc.SimpleRequest{Payload: payload(1000), ResponseSize: 2000},
		grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if got.GetUsername() != "1000" || len(got.GetPayload().GetBody()) != 2000 {
		t.Errorf("%s bytes arrived, %d came back; want 1000 and 2000", got.GetUsername(), len(got.GetPayload().GetBody()))
	}
	cameBack(t, "header", header)
	cameBack(t, "trailer", trailer)
}

func serverStreaming(t *testing.T, ctx context.Context, _ *grpcService, client testgrpc.TestServiceClient) {
	sizes := []int32{0, 1, 100, 100_000, 3}
	in := &testgrpc.StreamingOutputCallRequest{}
	for _, size := range sizes {
		in.ResponseParameters = append(in.ResponseParameters, &testgrpc.ResponseParameters{Size: size})
	}
	stream, err := client.StreamingOutputCall(withMetadata(ctx), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, size := range sizes {
		got, err := stream.Recv()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if len(got.GetPayload().GetBody()) != int(size) {
			t.Errorf("message %d has %d bytes; want %d", i, len(got.GetPayload().GetBody()), size)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last message: %v; want the end", err)
	}
	header, err := stream.Header()
	if err != nil {
		t.Error(err)
	}
	cameBack(t, "header", header)
	cameBack(t, "trailer", stream.Trailer())
}

func clientStreaming(t *testing.T, ctx context.Context, _ *grpcService, client testgrpc.TestServiceClient) {
	stream, err := client.StreamingInputCall(withMetadata(ctx))
	if err != nil {
		t.Fatal(err)
	}
	const messages, size = 100, 50_000 // more than any window
	for i := range messages {
		if err := stream.Send(&testgrpc.StreamingInputCallRequest{Payload: payload(size)}); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	got, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if got.GetAggregatedPayloadSize() != messages*size {
		t.Errorf("%d bytes arrived; want %d", got.GetAggregatedPayloadSize(), messages*size)
	}
	cameBack(t, "trailer", stream.Trailer())
}

func pingPong(t *testing.T, ctx context.Context, _ *grpcService, client testgrpc.TestServiceClient) {
	stream, err := client.FullDuplexCall(withMetadata(ctx))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := stream.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: int32(i)}}, Payload: payload(10)}); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		got, err := stream.Recv()
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if len(got.GetPayload().GetBody()) != i {
			t.Errorf("answer %d has %d bytes", i, len(got.GetPayload().GetBody()))
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v; want the end", err)
	}
	cameBack(t, "trailer", stream.Trailer())
}

func largeMessages(t *testing.T, ctx context.Context, _ *grpcService, client testgrpc.TestServiceClient) {
	got, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: payload(largeMessage), ResponseSize: largeMessage})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetUsername() != fmt.Sprint(largeMessage) || len(got.GetPayload().GetBody()) != largeMessage {
		t.Errorf("%s bytes arrived, %d came back; want %d both ways", got.GetUsername(), len(got.GetPayload().GetBody()), largeMessage)
	}
}

// statuses are passed on, with and without a header before them, also that of a
// method the server does not have.
func statuses(t *testing.T, ctx context.Context, _ *grpcService, client testgrpc.TestServiceClient) {
	const words = "as it is: 100 %, é\n"
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		for _, headerFirst := range []bool{false, true} {
			_, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{
				ResponseStatus: &testgrpc.EchoStatus{Code: int32(code), Message: words}, FillUsername: headerFirst,
			})
			if got := status.Convert(err); got.Code() != code || got.Message() != words {
				t.Fatalf("the server's status %v %q, after a header: %t, came as %v %q", code, words, headerFirst, got.Code(), got.Message())
			}
		}
	}
	if _, err := client.UnimplementedCall(ctx, &testgrpc.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that the server does not have: %v", err)
	}
}

// canceledCall is given up by the client when it is under way: the server hears of it.
func canceledCall(t *testing.T, ctx context.Context, s *grpcService, client testgrpc.TestServiceClient) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The server's header comes without a message from either side.
	if header, err := stream.Header(); err != nil || len(header.Get(clientKey)) != 1 {
		t.Fatalf("the header is %v, %v", header, err)
	}
	cancel()
	select {
	case err := <-s.broken:
		if status.Code(err) != codes.Canceled {
			t.Errorf("at the server the call ended with %v; want canceled", err)
		}
	case <-time.After(rig.Patience):
		t.Error("the server did not hear that the call was canceled")
	}
}

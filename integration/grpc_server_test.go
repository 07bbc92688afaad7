package integration

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/certproxy/certproxy/integration/rig"
)

// Metadata of the test service: what arrives as echoKey goes back as header and as
// trailer, and clientKey names the client certificate.
const (
	echoKey   = "test-echo"
	binaryKey = "test-echo-bin"
	clientKey = "test-client"
)

// A grpcService is a grpc-go server that demands a client certificate.
type grpcService struct {
	testgrpc.UnimplementedTestServiceServer
	*rig.Server
	broken chan error // how each call of messages both ways ended that did not end well
}

func newGRPCService(t *testing.T, id *rig.Identities) *grpcService {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &grpcService{
		Server: &rig.Server{Port: listener.Addr().(*net.TCPAddr).Port, Identities: id},
		broken: make(chan error, 1),
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(largeMessage+1<<20), grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{id.Server.TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.CA.Pool(),
	})))
	testgrpc.RegisterTestServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("the gRPC server ended: %v", err)
		}
	})
	return s
}

// greet sends the header, and prepares the trailer, of a call.
func greet(ctx context.Context) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return errors.New("no peer")
	}
	md := metadata.Pairs(clientKey, p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName)
	in, _ := metadata.FromIncomingContext(ctx)
	for _, key := range []string{echoKey, binaryKey} {
		md.Append(key, in.Get(key)...)
	}
	return errors.Join(grpc.SendHeader(ctx, md), grpc.SetTrailer(ctx, md))
}

// UnaryCall answers with as many bytes as asked for, or with the status asked for,
// before or after a header.
func (s *grpcService) UnaryCall(ctx context.Context, in *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	st := in.GetResponseStatus()
	if st != nil && !in.GetFillUsername() { // the response is trailers alone
		return nil, status.Error(codes.Code(st.GetCode()), st.GetMessage())
	}
	if err := greet(ctx); err != nil {
		return nil, err
	}
	if st != nil {
		return nil, status.Error(codes.Code(st.GetCode()), st.GetMessage())
	}
	return &testgrpc.SimpleResponse{Payload: payload(int(in.GetResponseSize())), Username: fmt.Sprint(len(in.GetPayload().GetBody()))}, nil
}

// StreamingOutputCall sends a message for each size asked for.
func (s *grpcService) StreamingOutputCall(in *testgrpc.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testgrpc.StreamingOutputCallResponse]) error {
	if err := greet(stream.Context()); err != nil {
		return err
	}
	for _, p := range in.GetResponseParameters() {
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload(int(p.GetSize()))}); err != nil {
			return err
		}
	}
	return nil
}

// StreamingInputCall adds up the sizes of what arrives.
func (s *grpcService) StreamingInputCall(stream grpc.ClientStreamingServer[testgrpc.StreamingInputCallRequest, testgrpc.StreamingInputCallResponse]) error {
	if err := greet(stream.Context()); err != nil {
		return err
	}
	var size int32
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testgrpc.StreamingInputCallResponse{AggregatedPayloadSize: size})
		}
		if err != nil {
			return err
		}
		size += int32(len(in.GetPayload().GetBody()))
	}
}

// FullDuplexCall answers each message at once with one of the size asked for.
func (s *grpcService) FullDuplexCall(stream grpc.BidiStreamingServer[testgrpc.StreamingOutputCallRequest, testgrpc.StreamingOutputCallResponse]) error {
	if err := greet(stream.Context()); err != nil {
		return err
	}
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			s.broken <- err
			return err
		}
		answer := &testgrpc.StreamingOutputCallResponse{Payload: payload(int(in.GetResponseParameters()[0].GetSize()))}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func payload(size int) *testgrpc.Payload { return &testgrpc.Payload{Body: make([]byte, size)} }

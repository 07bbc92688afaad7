# Calls a method of gRPC's own test service at an address, with an empty message. It knows of
# no CA, and of no proxy.
import sys

import grpc

with grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials()) as channel:
    call = channel.unary_unary("/grpc.testing.TestService/UnaryCall", lambda b: b, lambda b: b)
    _, info = call.with_call(b"", timeout=30)
    print(dict(info.initial_metadata())["test-client"])

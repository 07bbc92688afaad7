package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// namesVariable has the names that a certproxy of a script resolves, to 127.0.0.1; no other
// name is there then. What the machine's resolver knows is no matter.
const namesVariable = "TEST_NAMES"

func resolving(names string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // no packets, so messages have lengths: RFC 1035 section 4.2.2
		go answerName(server, strings.Fields(names))
		return client, nil
	}}
}

// answerName answers one question; it ends when the resolver has what it wanted.
func answerName(conn net.Conn, names []string) {
	defer conn.Close()
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	packed := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, packed); err != nil {
		return
	}
	var m dnsmessage.Message
	if m.Unpack(packed) != nil || len(m.Questions) != 1 {
		return
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	switch known := slices.Contains(names, strings.TrimSuffix(q.Name.String(), ".")); {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	}
	if out, err := m.AppendPack(make([]byte, 2)); err == nil {
		binary.BigEndian.PutUint16(out, uint16(len(out)-2))
		_, _ = conn.Write(out)
	}
}

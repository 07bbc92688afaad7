//go:build !linux

package check

func listenerUID(string) (uid uint32, ok bool) { return 0, false }

func unreadableFor(uint32, string) (barrier, why string) { return "", "" }

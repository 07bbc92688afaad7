package environment

import "strconv"

// Git returns the variables that send git's requests to a proxy even where a
// configuration file names another one (http.proxy), which git prefers to HTTPS_PROXY.
// What the caller configures in this way (GIT_CONFIG_COUNT, git 2.31 and later) stays,
// and so does a proxy that is configured for one URL alone.
func Git(url string, getenv func(string) string) []Variable {
	n, err := strconv.Atoi(getenv("GIT_CONFIG_COUNT"))
	if err != nil || n < 0 {
		n = 0
	}
	index := strconv.Itoa(n)
	return []Variable{
		{"GIT_CONFIG_COUNT", strconv.Itoa(n + 1)},
		{"GIT_CONFIG_KEY_" + index, "http.proxy"},
		{"GIT_CONFIG_VALUE_" + index, url},
	}
}

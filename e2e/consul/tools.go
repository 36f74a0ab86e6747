//go:build tools

// Package tools pins the Consul that `make e2e-consul` runs.
package tools

import _ "github.com/hashicorp/consul"

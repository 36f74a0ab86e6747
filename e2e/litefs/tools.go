//go:build tools

// Package tools pins the LiteFS that the e2e suites run.
package tools

import _ "github.com/superfly/litefs/cmd/litefs"

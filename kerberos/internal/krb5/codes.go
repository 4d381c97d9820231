package krb5

import (
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
)

// Error codes that are acted on (RFC 4120 section 7.5.9).
const (
	ErrNameExpired      int32 = 1
	ErrClientUnknown    int32 = 6
	ErrServiceUnknown   int32 = 7
	ErrEtypeUnsupported int32 = 14
	ErrClientRevoked    int32 = 18
	ErrTGTRevoked       int32 = 20
	ErrKeyExpired       int32 = 23
	ErrPreauthFailed    int32 = 24
	ErrPreauthRequired  int32 = 25
	ErrUnavailable      int32 = 29
	ErrBadIntegrity     int32 = 31
	ErrTicketExpired    int32 = 32
	ErrTicketNotYet     int32 = 33
	ErrRepeat           int32 = 34
	ErrBadMatch         int32 = 36
	ErrSkew             int32 = 37
	ErrModified         int32 = 41
	ErrBadKeyVersion    int32 = 44
	ErrNoKey            int32 = 45
	ErrInappChecksum    int32 = 50
	ErrResponseTooBig   int32 = 52
	ErrGeneric          int32 = 60
	ErrWrongRealm       int32 = 68
)

// ErrorName returns the symbol of an error code ("KDC_ERR_PREAUTH_FAILED") and its meaning in
// words. Unknown codes are "code N".
func ErrorName(code int32) (symbol, words string) {
	text := errorcode.Lookup(code)
	prefix := fmt.Sprintf("(%d) ", code)
	rest, known := strings.CutPrefix(text, prefix)
	if !known {
		return fmt.Sprintf("code %d", code), "an error this program does not know"
	}
	symbol, words, _ = strings.Cut(rest, " ")
	return symbol, strings.Join(strings.Fields(words), " ")
}

package nlmp

// Flags are negotiate flags (MS-NLMP 2.2.2.5).
type Flags uint32

// The flags that this module sets, clears or reads.
const (
	Unicode                 Flags = 1 << 0
	OEM                     Flags = 1 << 1
	RequestTarget           Flags = 1 << 2
	Sign                    Flags = 1 << 4
	NTLM                    Flags = 1 << 9
	Anonymous               Flags = 1 << 11
	AlwaysSign              Flags = 1 << 15
	TargetTypeDomain        Flags = 1 << 16
	TargetTypeServer        Flags = 1 << 17
	ExtendedSessionSecurity Flags = 1 << 19
	TargetInfo              Flags = 1 << 23
	Version                 Flags = 1 << 25
	Key128                  Flags = 1 << 29
	KeyExchange             Flags = 1 << 30
	Key56                   Flags = 1 << 31
)

// FlagNames are the names of the bits from 0 up, "" for reserved ones.
var FlagNames = [32]string{
	"UNICODE", "OEM", "REQUEST_TARGET", "", "SIGN", "SEAL", "DATAGRAM", "LM_KEY",
	"", "NTLM", "", "ANONYMOUS", "OEM_DOMAIN_SUPPLIED", "OEM_WORKSTATION_SUPPLIED", "", "ALWAYS_SIGN",
	"TARGET_TYPE_DOMAIN", "TARGET_TYPE_SERVER", "", "EXTENDED_SESSIONSECURITY", "IDENTIFY", "", "NON_NT_SESSION_KEY", "TARGET_INFO",
	"", "VERSION", "", "", "", "128", "KEY_EXCH", "56",
}

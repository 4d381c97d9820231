/*
 * A peer for channel bindings: MIT's GSS-API library as initiator or acceptor of SPNEGO.
 *
 *   gsspeer init  HTTP@localhost BINDING      prints a token in hex
 *   gsspeer accept HTTP@localhost BINDING     reads a token in hex, prints "ok" or the status
 *
 * BINDING is the application data, "" for none. The declarations are RFC 2744's (appendix A):
 * the library's headers are not needed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { size_t length; void *value; } buffer;
typedef struct { uint32_t length; void *elements; } oid;
struct bindings {
	uint32_t initiator_type; buffer initiator;
	uint32_t acceptor_type; buffer acceptor;
	buffer data;
};

extern oid *GSS_C_NT_HOSTBASED_SERVICE;
uint32_t gss_import_name(uint32_t *, buffer *, oid *, void **);
uint32_t gss_acquire_cred(uint32_t *, void *, uint32_t, void *, int, void **, void *, uint32_t *);
uint32_t gss_init_sec_context(uint32_t *, void *, void **, void *, oid *, uint32_t, uint32_t,
	struct bindings *, buffer *, oid **, buffer *, uint32_t *, uint32_t *);
uint32_t gss_accept_sec_context(uint32_t *, void **, void *, buffer *, struct bindings *, void **,
	oid **, buffer *, uint32_t *, uint32_t *, void **);

static void print_hex(buffer b)
{
	for (size_t i = 0; i < b.length; i++)
		printf("%02x", ((unsigned char *)b.value)[i]);
	printf("\n");
}

static buffer read_hex(void)
{
	static unsigned char bytes[65536];
	buffer b = { 0, bytes };
	unsigned int byte;
	while (b.length < sizeof bytes && scanf("%2x", &byte) == 1)
		bytes[b.length++] = byte;
	return b;
}

int main(int argc, char **argv)
{
	static oid spnego = { 6, "\x2b\x06\x01\x05\x05\x02" };
	uint32_t minor = 0, major;
	void *name = NULL, *cred = NULL, *context = NULL;
	buffer out = { 0, NULL };

	if (argc != 4)
		return 2;
	buffer service = { strlen(argv[2]), argv[2] };
	struct bindings cb = { .data = { strlen(argv[3]), argv[3] } };
	struct bindings *channel = cb.data.length ? &cb : NULL;

	major = gss_import_name(&minor, &service, GSS_C_NT_HOSTBASED_SERVICE, &name);
	if (major == 0 && strcmp(argv[1], "init") == 0) {
		major = gss_init_sec_context(&minor, NULL, &context, name, &spnego, 2, 0, channel, NULL, NULL, &out, NULL, NULL);
		if (out.length > 0) {
			print_hex(out);
			return 0;
		}
	} else if (major == 0) {
		buffer in = read_hex();
		major = gss_acquire_cred(&minor, name, 0, NULL, 2, &cred, NULL, NULL);
		if (major == 0)
			major = gss_accept_sec_context(&minor, &context, cred, &in, channel, NULL, NULL, &out, NULL, NULL, NULL);
		if (major == 0) {
			printf("ok\n");
			return 0;
		}
	}
	printf("status %08x %08x\n", major, minor);
	return 1;
}

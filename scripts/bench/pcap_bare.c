/* SPDX-License-Identifier: Apache-2.0
 *
 * pcap_bare.c - the least that libpcap can do, as a baseline: count received packets (one argument), or send each packet on with
 * another Ethernet header (two).
 */
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static pcap_t *in, *out;
static unsigned long count;

static void stop(int signal)
{
	(void)signal;
	pcap_breakloop(in);
}

static void packet(u_char *user, const struct pcap_pkthdr *head, const u_char *bytes)
{
	static u_char frame[65536];

	(void)user;
	count++;
	if (!out)
		return;
	memcpy(frame, "\x02\xbb\x00\x00\x00\x04\x02\xbb\x00\x00\x00\x03", 12);
	memcpy(frame + 12, bytes + 12, head->caplen - 12);
	pcap_inject(out, frame, head->caplen);
}

static pcap_t *open_link(const char *name)
{
	char problem[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_create(name, problem);

	pcap_set_snaplen(p, 65535);
	pcap_set_timeout(p, 10);
	pcap_set_buffer_size(p, 64 << 20);
	if (pcap_activate(p) < 0) {
		fprintf(stderr, "%s\n", pcap_geterr(p));
		return NULL;
	}
	return p;
}

int main(int argc, char **argv)
{
	struct pcap_stat stat = {0};

	in = open_link(argv[1]);
	out = argc > 2 ? open_link(argv[2]) : NULL;
	if (!in || (argc > 2 && !out))
		return 1;
	pcap_setdirection(in, PCAP_D_IN);
	signal(SIGINT, stop);
	puts("ready");
	fflush(stdout);
	while (pcap_dispatch(in, -1, packet, NULL) >= 0)
		;
	pcap_stats(in, &stat);
	printf("{\"captured\":%lu,\"dropped\":%u}\n", count, stat.ps_drop);
	return 0;
}

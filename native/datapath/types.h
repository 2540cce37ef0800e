/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * types.h - the words every stage of the packet program is written in.
 *
 * Owns: integer types, byte order, addresses and the flow key.
 * Must never: include a system header that clang cannot compile for BPF, or know about an engine.
 */
#ifndef SHUNT_DATAPATH_TYPES_H
#define SHUNT_DATAPATH_TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u16 be16; /* network byte order; the suffix _be marks a local that holds one */
typedef u32 be32;

#define SH_INLINE static inline __attribute__((always_inline))
/* Two kinds of stage that the kernel wants to be functions of their own; in user space both are inlined.
 * SH_STAGE has its own stack frame: in BPF all frames of a call chain share 512 bytes.
 * SH_STAGE_ALONE is also verified alone, once, instead of for every path that leads to it. So it is handed only numbers
 * and memory, and it must look up for itself what it reads (sh_env_restore). */
#ifdef __bpf__
#define SH_STAGE static __attribute__((noinline))
#define SH_STAGE_ALONE __attribute__((noinline))
#else
#define SH_STAGE SH_INLINE
#define SH_STAGE_ALONE SH_INLINE
#endif
/* SH_PACKED is for one protocol's header, which has no holes anyway; SH_LAYERED for several, one after the other. A packet
 * may lie at any address. BPF runs where loads need no alignment, but its compiler splits them into bytes where a type admits
 * that it has none; so there a header keeps its natural one, and a layer is reached by a pointer to it. */
#ifdef __bpf__
#define SH_PACKED
#else
#define SH_PACKED __attribute__((packed))
#endif
#ifdef __cplusplus
#define SH_CONSTEXPR constexpr
#else
#define SH_CONSTEXPR SH_INLINE
#endif
/* A loop that clang leaves one: unrolled, its values would not fit BPF's stack. */
#ifdef __bpf__
#define SH_ROLLED _Pragma("clang loop unroll(disable) vectorize(disable)")
#else
#define SH_ROLLED
#endif
#define SH_LAYERED __attribute__((packed))
#define SH_LIKELY(x) __builtin_expect(!!(x), 1)
#define SH_UNLIKELY(x) __builtin_expect(!!(x), 0)

#ifdef __cplusplus
#define SH_STATIC_ASSERT(x, why) static_assert(x, why)
#else
#define SH_STATIC_ASSERT(x, why) _Static_assert(x, why)
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define sh_htons(x) ((be16)__builtin_bswap16((u16)(x)))
#define sh_htonl(x) ((be32)__builtin_bswap32((u32)(x)))
#define sh_htonll(x) ((u64)__builtin_bswap64((u64)(x)))
#else
#define sh_htons(x) ((be16)(x))
#define sh_htonl(x) ((be32)(x))
#define sh_htonll(x) ((u64)(x))
#endif
#define sh_ntohs(x) sh_htons(x)
#define sh_ntohl(x) sh_htonl(x)

/* Two, four or eight bytes at any address, as they stand: one load each, in BPF by saying so, in user space by the copy of
 * a constant size that sanitizers accept. */
#ifdef __bpf__
#define SH_LOAD(name, type) \
	SH_INLINE type name(const void *p) \
	{ \
		return *(const type *)p; \
	}
#else
#define SH_LOAD(name, type) \
	SH_INLINE type name(const void *p) \
	{ \
		type v; \
		__builtin_memcpy(&v, p, sizeof(v)); \
		return v; \
	}
#endif
SH_LOAD(sh_load16, u16)
SH_LOAD(sh_load32, u32)
SH_LOAD(sh_load64, u64)

SH_INLINE void sh_store32(void *p, u32 v)
{
#ifdef __bpf__
	*(u32 *)p = v;
#else
	__builtin_memcpy(p, &v, sizeof(v));
#endif
}

/* One load or store that neither compiler may split, repeat or drop. */
#define SH_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
/* The same, and what is loaded after it is not older. BPF has no such load on all our kernels; where it matters, on x86-64,
 * every load is one. */
#ifdef __bpf__
#define SH_READ_FIRST(x) SH_READ_ONCE(x)
#else
#define SH_READ_FIRST(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#endif
/* A store after everything that precedes it. BPF has none; there it stands only behind an atomic operation on the same line,
 * which orders it on every processor. */
#ifdef __bpf__
#define SH_WRITE_LAST(x, v) SH_WRITE_ONCE(x, v)
#else
#define SH_WRITE_LAST(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#endif
#define SH_WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

enum { SH_IPV4 = 4, SH_IPV6 = 6 };
enum { SH_ICMP = 1, SH_TCP = 6, SH_UDP = 17, SH_ICMPV6 = 58 };

/* An Internet address. IPv4 is kept in its IPv6-mapped form (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that
 * equality and hashing need not ask for the family. */
struct sh_addr {
	union {
		u8 b[16];
		be32 w[4];
		u64 d[2];
	};
};

/* The flow key: a 5-tuple as the client sent it. 40 bytes without holes. */
struct sh_flow {
	struct sh_addr source;      /* the client */
	struct sh_addr destination; /* the service address (VIP) */
	be16 source_port;
	be16 destination_port;
	u8 protocol; /* SH_UDP or SH_TCP */
	u8 family;   /* SH_IPV4 or SH_IPV6, of the addresses above */
	u16 salt;    /* 0; of a datagram that is chosen by itself, its UDP checksum */
};
SH_STATIC_ASSERT(sizeof(struct sh_flow) == 40, "the flow key is hashed and compared as bytes");

SH_INLINE struct sh_addr sh_addr_v4(be32 a)
{
	struct sh_addr r;
	r.d[0] = 0;
	r.w[2] = sh_htonl(0xffff);
	r.w[3] = a;
	return r;
}

SH_INLINE int sh_addr_equal(const struct sh_addr *a, const struct sh_addr *b)
{
	return a->d[0] == b->d[0] && a->d[1] == b->d[1];
}

#endif

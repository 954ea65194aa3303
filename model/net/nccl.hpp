// How long does an NCCL collective take inside one NVLink domain?
//
//   chunk m = S/n, steps s = n-1 (all_gather, reduce_scatter) or 2(n-1) (all_reduce), volume V = m (s + own_copy)
//   low    = (low_launch + low_hop s)(1 + low_growth S/(S + 32 KiB))      (+)  V/(low_link L)       protocols LL, LL128
//   simple = simple_floor (1 + simple_growth S/(S + 16 MiB)) + [ simple_hop s  (+)  V/(simple_link L) ]
//   nvls   = switch_floor  (+)  S (n+1)/n /(switch_link L)                                           all_reduce, n >= 8
//   t      = min(low, simple, nvls)                                      (+): overlapped() of net/overlap.hpp
// All-to-all of chunk m to every peer, one floor (LL or Simple, the cheaper) plus the link:
//   t = min(exchange_low + p + m exchange_low_byte, (exchange_floor + p)(1 + exchange_growth S/(S + 16 MiB)))
//       + m (n-1 + own_copy)/(exchange_link L) (1 + exchange_decay log2(n/2))                p = exchange_peer (n-1)
// Assumes an idle domain, one call at a time. The own chunk is copied locally at the price of own_copy ring steps: why
// "bus bandwidth" rises with n. Source: equations and parameters fitted to nccl-tests rows of
// ai-dynamo/aiconfigurator@095f58a (Apache-2.0); docs/theory/collectives-measured.md.
#pragma once

#include "cost/network_fit.hpp"
#include "ops/work.hpp"
#include "units.hpp"

namespace moeline {

// The switch adds up only floating types, and NCCL asks it to from 8 ranks on.
enum class NvlinkReduction { ring, ring_or_switch };

// `bytes` as in ops/work.hpp: all_gather and reduce_scatter the whole gathered (scattered) buffer, all_reduce the
// buffer of one rank. send_recv is not a collective here.
struct NvlinkCollective {
  CollectiveKind kind = CollectiveKind::all_reduce;
  Bytes bytes;
  double ranks = 1;
  BytesPerSecond link;           // one device, one direction
  NvlinkReduction reduction = NvlinkReduction::ring;
};

// Every rank sends rank_buffer/ranks to every rank, itself included.
struct NvlinkAllToAll {
  Bytes rank_buffer;
  double ranks = 1;
  BytesPerSecond link;
};

enum class NcclProtocol { low, simple, nvls };

struct NcclTerms {
  double steps = 0;
  Bytes volume;                  // through one link, own copy counted
  Seconds latency, transfer;     // of the protocol chosen, before they overlap
  Seconds low, simple, nvls;     // what each would take; nvls 0: not offered
  NcclProtocol protocol = NcclProtocol::low;
  Seconds time;
};

NcclTerms nccl_terms(const NvlinkCollective& collective, const NcclFit& fit);
NcclTerms nccl_terms(const NvlinkAllToAll& exchange, const NcclFit& fit);

OpCost cost(const NvlinkCollective& collective, const NcclFit& fit);
OpCost cost(const NvlinkAllToAll& exchange, const NcclFit& fit);

}  // namespace moeline

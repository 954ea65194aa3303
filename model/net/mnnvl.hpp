// How long does an all-to-all of token rows take inside a rack-scale NVLink domain (TensorRT-LLM, NVL72)?
//
//   t = launch + doubling log2(n) + T token + max_p( channel, link )
//   channel = T R/n (row tensors + b channel_byte)                         one peer's share through its own channel
//   link    = T R b (n-1)/n /(link L) (1 + decay n/8)
// b: bytes of one row in the message, R: distinct ranks a token reaches, own one included, whose copy is free here.
// One-sided transport writes straight into the peer and is link-bound; two-sided has FIFOs, one channel a peer.
// Assumes even routing and an idle domain. Source: equations and parameters fitted to rows of
// ai-dynamo/aiconfigurator@095f58a (Apache-2.0); docs/theory/collectives-measured.md.
#pragma once

#include <array>

#include "cost/network_fit.hpp"
#include "units.hpp"

namespace moeline {

struct MnnvlExchange {
  double tokens = 0;               // of one rank, before routing
  Bytes row;                       // of one copy of a token
  double tensors = 1;              // 2: data and block scales travel apart
  double ranks = 1, ranks_hit = 1;
  BytesPerSecond link;             // one device, one direction
};

struct MnnvlTerms {
  Seconds fixed, tokens, channel, link;
  Seconds time;
};

// Where an exchange sits on the correction surface of its page: log2 of tokens and ranks.
std::array<double, 2> mnnvl_coordinates(const MnnvlExchange& exchange);

MnnvlTerms mnnvl_terms(const MnnvlExchange& exchange, const MnnvlFit& fit);
OpCost cost(const MnnvlExchange& exchange, const MnnvlFit& fit);

}  // namespace moeline

// How long does DeepEP take to dispatch tokens to experts, or to combine them back?
//
//   normal   t = launch + doubling log2(N) + fill min(T, fill_tokens) R b + max_p( sm, forward, wire )
//            sm      = T/SMs [ token + b row_byte + R (copy + b copy_byte) + H b node_byte ]
//            forward = T b R (d-1)/d /(link L)           d: ranks of one NVLink domain
//            wire    = T b H (N-1)/N /(wire NIC)         several nodes only
//   low lat. t = launch + expert E_local + doubling log2(N) + max_p( T/blocks (token + k b copy_byte), link, wire )
//            k copies without deduplication; blocks = E/ceil(E/SMs), one per group of experts
// b: bytes of one token row on the wire, R and H: expected distinct ranks and nodes it reaches, own ones included.
// Dispatch and combine have one parameter set each. Assumes an idle fabric, even routing, no layout, no notify.
// Source: equations and parameters fitted to DeepEP rows of ai-dynamo/aiconfigurator@095f58a (Apache-2.0);
// docs/theory/collectives-measured.md.
#pragma once

#include <array>

#include "cost/network_fit.hpp"
#include "ops/work.hpp"
#include "units.hpp"

namespace moeline {

// What every rank sends (dispatch) or takes back (combine).
struct DeepEpNormal {
  double tokens = 0;               // of one rank, before routing
  Bytes row;                       // one token on the wire, block scales included
  double ranks = 1, ranks_hit = 1; // of all nodes; distinct ones a token reaches
  double nodes = 1, nodes_hit = 1;
  double multiprocessors = 24;     // the kernels' budget, not the device's
  BytesPerSecond link, nic;        // one device, one direction; nic unused on one node
};

struct DeepEpTerms {
  Seconds fixed, fill, multiprocessors, link, wire;
  Seconds time;
};
DeepEpTerms deepep_terms(const DeepEpNormal& exchange, const DeepEpFit& fit);

struct DeepEpLowLatency {
  double tokens = 0;               // of one rank, before routing
  Bytes row;
  double top_k = 1, experts = 1;
  double ranks = 1, nodes = 1;
  double multiprocessors = 132;    // of the device
  BytesPerSecond link, nic;
};
DeepEpTerms deepep_terms(const DeepEpLowLatency& exchange, const DeepEpLowLatencyFit& fit);

// Where an exchange sits on the correction surface of its page: log2 of tokens, bytes that a token sends or takes back, and
// multiprocessors (normal) or experts (low latency).
std::array<double, 3> deepep_coordinates(const DeepEpNormal& exchange);
std::array<double, 3> deepep_coordinates(const DeepEpLowLatency& exchange);

// Bytes of one row: FP8 with an FP32 scale per 128 elements outwards, BF16 back; low latency adds 16 bytes outwards.
enum class DeepEpDirection { dispatch, combine };
Bytes deepep_row(double hidden, DeepEpDirection direction);
Bytes deepep_low_latency_row(double hidden, DeepEpDirection direction);

// Expected distinct ranks and nodes a token reaches when it may use min(nodes, 4) nodes, as in DeepEP's own benchmark.
struct DeepEpReach {
  double ranks = 1, nodes = 1;
};
DeepEpReach deepep_reach(const MoeFfn& moe, double ranks, double nodes);

OpCost cost(const DeepEpNormal& exchange, const DeepEpFit& fit);
OpCost cost(const DeepEpLowLatency& exchange, const DeepEpLowLatencyFit& fit);

}  // namespace moeline

// How far do real exchanges stay below their links? The parameters of net/nccl, net/deepep, net/mnnvl and
// net/framework_all_reduce, whose equations they are named after. Every default is neutral: with it the equations are
// the links alone (source: bound).
// Source of fitted values: ai-dynamo/aiconfigurator@095f58a, Apache-2.0; docs/theory/collectives-measured.md.
#pragma once

#include "cost/op_cost.hpp"
#include "units.hpp"

namespace moeline {

using SecondsPerByte = Quantity<Dimension{.second = 1, .byte = -1}>;

// One parameter set serves all four operations of a device. Defaults are neutral: the link alone.
struct NcclFit {
  Seconds low_launch, low_hop;
  double low_growth = 0;  // of the latency once a message is longer than its flag lines
  double low_link = 1;    // share of the link
  double low_overlap = 1;
  Seconds simple_floor, simple_hop;
  double simple_growth = 0;  // of the floor once a message outgrows the channels' buffers
  double simple_link = 1, simple_overlap = 1;
  double own_copy = 0;  // in ring steps
  Seconds switch_floor;
  double switch_link = 1, switch_overlap = 1;
  Seconds exchange_low;  // all-to-all by LL: latency and bandwidth of one peer
  SecondsPerByte exchange_low_byte;
  Seconds exchange_floor;  // by Simple
  Seconds exchange_peer;   // either, more for every peer
  double exchange_growth = 0;
  double exchange_link = 1;
  double exchange_decay = 0;  // share of the time more for every doubling of ranks beyond 2
  Spread spread;
  Source source = Source::bound;
};

// A serving framework's own all-reduce kernels, one set per library. Defaults are neutral: the link alone.
struct FrameworkAllReduceFit {
  Seconds one_launch, two_launch, switch_launch;
  Seconds hop;                   // for every peer
  SecondsPerByte walk;           // of the blocks' loop over the buffer
  double one_link = 1, two_link = 1, switch_link = 1;  // shares of the link
  Spread spread;
  Source source = Source::bound;
};

struct DeepEpFit {
  Seconds launch, doubling;
  SecondsPerByte fill;  // of the pipeline, per byte of the first tokens' copies
  double fill_tokens = 0;
  Seconds token, copy;  // time of one multiprocessor
  SecondsPerByte row_byte, copy_byte, node_byte;
  double link = 1, wire = 1;  // shares of NVLink and of the NIC
  double overlap = 8;
  Spread spread;
  Source source = Source::bound;
};

struct DeepEpLowLatencyFit {
  Seconds launch, doubling, expert;
  Seconds token;  // time of one block
  SecondsPerByte copy_byte;
  double link = 1, wire = 1;
  double overlap = 8;
  Spread spread;
  Source source = Source::bound;
};

// One set per transport and direction. Defaults are neutral: the link alone.
struct MnnvlFit {
  Seconds launch, doubling;
  Seconds token;  // of one rank, not hidden
  Seconds row;    // of one row of one tensor in a peer's channel
  SecondsPerByte channel_byte;
  double link = 1, decay = 0;  // share of the link; lost per 8 ranks
  double overlap = 8;
  Spread spread;
  Source source = Source::bound;
};

}  // namespace moeline

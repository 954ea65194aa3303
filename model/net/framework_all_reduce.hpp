// How long does an all-reduce take with a serving framework's own kernels, before it hands over to NCCL?
//
//   one-shot   t = one_launch + hop (n-1) + max( S (n-1)/(one_link L), S walk )
//   two-shot   t = two_launch + hop (n-1) + max( S 2(n-1)/n /(two_link L), 2 S/n walk )
//   in-switch  t = switch_launch + hop (n-1) + S (n+1)/n /(switch_link L)
// One-shot reads every peer's whole buffer, two-shot is a reduce-scatter and an all-gather, in-switch a load that the
// switch reduces and a store that it multicasts.
// walk: time a byte of the few blocks' loop over the buffer, whose loads from all peers are in flight together: with
// 2 ranks it, and not the link, sets the time.
// S: bytes of one rank's buffer, n: ranks, L: link of one device, one direction. TensorRT-LLM and SGLang run the
// cheapest they offer; vLLM goes by the size. Larger messages than `largest` are NCCL's: net/nccl. Assumes an idle
// domain and a captured graph (no host launch). Source of the thresholds: vLLM's all_reduce_utils.py (custom and
// symmetric-memory tables) and custom_all_reduce.cuh, 2025-26; TensorRT-LLM's workspace sizes; SGLang's is where its
// times join NCCL's.
#pragma once

#include "cost/network_fit.hpp"
#include "units.hpp"

namespace moeline {

enum class AllReduceLibrary { trtllm, sglang, vllm };
enum class AllReduceKernel { one_shot, two_shot, in_switch };

struct FrameworkAllReduce {
  AllReduceLibrary library = AllReduceLibrary::trtllm;
  Bytes bytes;  // of one rank
  double ranks = 1;
  BytesPerSecond link;     // one device, one direction
  bool blackwell = false;  // vLLM's tables differ by architecture
};

// The largest message that the framework's own kernels take; above it NCCL runs.
Bytes largest(const FrameworkAllReduce& call);

struct FrameworkAllReduceTerms {
  AllReduceKernel kernel = AllReduceKernel::one_shot;
  Seconds fixed, transfer;  // of the kernel that runs
  Seconds time;
};
FrameworkAllReduceTerms framework_all_reduce_terms(const FrameworkAllReduce& call, const FrameworkAllReduceFit& fit);

OpCost cost(const FrameworkAllReduce& call, const FrameworkAllReduceFit& fit);

}  // namespace moeline

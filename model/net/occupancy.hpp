// What does a transfer take from the compute beside it?
//
// Its kernels occupy multiprocessors, which products beside it then lack: while it runs, compute proceeds at 1 - taken of its
// rate. taken = kernels' multiprocessors / multiprocessors of the device. Memory bandwidth that it takes is not counted: 50 to
// 160 GB/s, read and written, of 3 to 8 TB/s.
#pragma once

#include "spec/device.hpp"
#include "spec/workload.hpp"

namespace moeline {

// NCCL's channels, one multiprocessor each; assumed: 16 of the up to 32 that NCCL 2.2x opens.
constexpr double kCollectiveMultiprocessors = 16;

// deepep: what Megatron-Core leaves it (moe_deepep_num_sms), and what DeepSeek-V3 trained with (report, section 3.2.2);
// hybridep: Megatron-Core's moe_hybridep_num_sms, 16 as NCCL's.
constexpr double exchange_multiprocessors(Transport transport) {
  return transport == Transport::deepep ? 20 : kCollectiveMultiprocessors;
}

inline double taken(double multiprocessors, const Gpu& gpu) {
  return multiprocessors / static_cast<double>(gpu.multiprocessors.value);
}
inline double taken(Transport transport, const Gpu& gpu) { return taken(exchange_multiprocessors(transport), gpu); }

}  // namespace moeline

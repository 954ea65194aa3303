// An all-to-all among the GPUs of this machine as a run: a thread per GPU queues behind shut gates, all gates open
// together, and the time is the slowest rank's.
//
//   kind ""             `bytes` of every rank cut evenly        kind moe   rows follow a seeded routing (routed.hpp)
//   kind beside_gemm    as "", while every GPU multiplies on another stream: bf16, 8 experts of 2048 x 4096 x 7168
//   shape.multiprocessors   how many own kernels may use (24)
#pragma once

#include <memory>

#include "validate/cuda/device.hpp"

namespace moeline {

std::vector<std::string> exchange_libraries(const Case& wanted, int devices);
// `devices` in order of rank; as many as the case has ranks are used.
std::unique_ptr<Run> exchange_run(const Case& wanted, const std::vector<std::unique_ptr<Device>>& devices);

}  // namespace moeline

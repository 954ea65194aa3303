// The kernels of a GPU as runs: one file an op.
//
//   gemm, grouped_gemm   kind "" (fprop), dgrad, wgrad; m, n, k are those of the product: wgrad's k is an expert's rows
//                        libraries: moeline (own; on Hopper MXFP8 is folded), moeline_exact (rescaled every 32 of k),
//                        moeline_bf16 (dequantised, then bf16: both timed), cublaslt (experts one after another)
//   memory_pass          copy, read, write, triad, gather; copy_engine, to_host, from_host: cudaMemcpyAsync
//   quantise             row, column; both copies: both, swiglu, swiglu_backward, gather
//   launch, peak         empty_kernel, graph_node; fma, tensor
//   all_to_all           comm/exchange.hpp
#pragma once

#include <memory>

#include "validate/baselines/cublaslt.hpp"
#include "validate/cuda/device.hpp"

namespace moeline {

int size_of(const Case& wanted, const char* key);  // HardwareError if the case lacks it
double bytes_of(const Case& wanted);

// 100 and 103 have tensor memory; 120 multiplies in registers, and has products of MXFP8 alone.
inline bool is_blackwell(int generation) { return generation == 100 || generation == 103 || generation == 120; }

// Which implementations `prepare` below would find; the default first.
std::vector<std::string> product_libraries(const Case& wanted, const Device& device, bool own_products_work);
std::vector<std::string> pass_libraries(const Case& wanted, const Device& device);

std::unique_ptr<Run> product_run(const Case& wanted, Device& device, CublasLt& baseline);
std::unique_ptr<Run> pass_run(const Case& wanted, Device& device);
std::unique_ptr<Run> quantise_run(const Case& wanted, Device& device);

}  // namespace moeline

// Measured kernels of a layer in 16 bit as families: "gemm" (dtype float16) and "memory_pass", one page per kernel.
//
// PrincetonUniversity/LLMCompass@2e015fd (BSD-3): A100 through PyTorch, eager and synchronised, so that a floor of tens
// of microseconds comes from the host; microsoft/vidur@7d47513 (MIT): H100 through vLLM's layers. Passes:
//   t = max4(host, launch + max4(row bytes / row rate, bytes / (memory BW)))     max4(a, b) = (a^4 + b^4)^(1/4)
// where one block walks one row, and bytes that fit L2 come faster. host and L2 are conditions of the benchmark. Bytes
// are those the kernel moves: PyTorch's softmax reads its input three times, its layernorm once, or three times when a
// row is too long to stay on the multiprocessor.
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"

namespace moeline {

bool is_llmcompass_csv(const Csv& csv);
bool is_vidur_layer_csv(const Csv& csv);
std::vector<FamilyData> llmcompass_families(const Csv& csv);
std::vector<FamilyData> vidur_layer_families(const Csv& csv);

// Share of the memory bandwidth a page of operation "memory_pass" reaches.
double memory_pass_share(const std::vector<double>& values);

}  // namespace moeline

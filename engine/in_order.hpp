// How do many threads write one ordered list? A pipeline: numbers out in order, work in parallel, results in order.
//
//   first .. last -> blocks -> [ work on each number, any thread ] -> consume, one block at a time, in order
// At most four blocks per thread are under way, so memory does not grow with the list, and what is consumed does not
// depend on the threads. `consume` returns false to stop. Exceptions of either come out of here.
#pragma once

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace moeline {

template <class Work, class Consume>
void in_order(std::uint64_t first, std::uint64_t last, int threads, const Work& work, const Consume& consume) {
  constexpr std::uint64_t kBlock = 16;  // some milliseconds of evaluations: far above the cost of handing them over
  using Result = decltype(work(first));
  struct Block {
    std::uint64_t first, last;
    std::vector<Result> results;
  };
  std::uint64_t next = first;
  bool stopped = false;
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  tbb::task_arena arena(threads);
  arena.execute([&] {
    tbb::parallel_pipeline(
        4 * static_cast<std::size_t>(threads),
        tbb::make_filter<void, std::pair<std::uint64_t, std::uint64_t>>(tbb::filter_mode::serial_in_order,
                                                                        [&](tbb::flow_control& flow) {
                                                                          const std::uint64_t begin = next;
                                                                          if (begin >= last || stopped) flow.stop();
                                                                          next = std::min(begin + kBlock, last);
                                                                          return std::pair{begin, next};
                                                                        }) &
            tbb::make_filter<std::pair<std::uint64_t, std::uint64_t>, Block>(
                tbb::filter_mode::parallel,
                [&](const std::pair<std::uint64_t, std::uint64_t>& range) {
                  Block block{range.first, range.second, {}};
                  block.results.reserve(range.second - range.first);
                  for (std::uint64_t i = range.first; i < range.second; ++i) block.results.push_back(work(i));
                  return block;
                }) &
            tbb::make_filter<Block, void>(tbb::filter_mode::serial_in_order, [&](Block block) {
              for (std::uint64_t i = block.first; i < block.last && !stopped; ++i) {
                stopped = !consume(i, std::move(block.results[i - block.first]));
              }
            }));
  });
}

}  // namespace moeline

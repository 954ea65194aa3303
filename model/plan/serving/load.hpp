// How long until a checkpoint is on the devices, and what memory does loading take at its peak?
//
//   read     W / (readers x stream)        page cache or storage to host memory, one stream per process
//   copy     W / (links x stream)          pageable host memory to the device, over its own link
//   pack     experts' matrices joined into one tensor per projection, on the device
//   time     max(read, copy) when read ahead, else read + copy; + pack
// device_map fills one device after the other from one process; under tensor parallelism every rank loads its share, and
// the host's memory bounds their sum. Older loaders copy within the host once more, and under tensor parallelism bring
// the whole checkpoint to every device. Derivation and constants are ours: docs/theory/experts-backends.md.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "error.hpp"
#include "spec/cluster.hpp"
#include "spec/llm.hpp"

namespace moeline {

enum class Loader { v4, v5 };                         // of Hugging Face Transformers
enum class Placement { device_map, tensor_parallel };

struct LoadPlan {
  Loader loader = Loader::v5;
  Placement placement = Placement::device_map;
  bool ahead = true;  // v5: tensors are read while others are converted; v4: shards by a pool of threads
};

struct LoadAnswer {
  Seconds time, read, copy, host_copy, pack;
  Bytes device_peak;  // weights and the largest conversion group
  Bytes host_peak;    // beside the page cache
};

// Stored bytes of all parameters, and of the largest group that is converted at once: a layer's gate and up matrices.
Bytes checkpoint_bytes(const ModelSpec& model);
Bytes conversion_group(const ModelSpec& model);

// `storage` bounds reading where the files are not in the page cache.
std::variant<LoadAnswer, Infeasible> load(const ModelSpec& model, const Cluster& cluster, const LoadPlan& plan,
                                          std::optional<BytesPerSecond> storage = {});

std::vector<LoadPlan> load_plans();  // every way there is, today's default first
std::string_view name(Loader loader);
std::string_view name(Placement placement);

}  // namespace moeline

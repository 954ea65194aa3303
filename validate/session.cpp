#include "validate/session.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <array>

#include "fit/device_names.hpp"

namespace moeline {
namespace {

std::string folder_of_program() {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string program(path.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  return program.substr(0, program.rfind('/') + 1);
}

LoadedBackend loaded(const std::string& name) {
  LoadedBackend result{backend_module(name), name, {}};
  result.machine = result.backend->machine();
  result.machine.device = device_name(result.machine.device);
  return result;
}

Record begun(const LoadedBackend& loaded, const Case& wanted, const std::string& run) {
  return {.op = wanted.op,
          .device = loaded.machine.device,
          .backend = wanted.library,
          .kind = wanted.kind,
          .dtype = wanted.dtype,
          .shape = wanted.shape,
          .versions = loaded.machine.versions,
          .run = run};
}

SampleSet samples(const Timing& timing) {
  return {timing.seconds.median, timing.seconds.p10, timing.seconds.p90, timing.seconds.n};
}

bool is_exchange(const Case& wanted) { return wanted.op == "all_to_all" || wanted.op == "collective"; }

void measure_case(Backend& backend, const Case& wanted, const Suite& suite, Record& record) {
  const std::unique_ptr<Run> run = backend.prepare(wanted);
  record.shape.merge(run->filled_in());
  const Check check = run->check();
  record.error = check.error;
  if (!check.passed) {
    record.failed = check.problem.empty() ? "its check failed" : check.problem;
    return;
  }
  const Timing cold = time_run(*run, Caches::cold, suite.effort, is_exchange(wanted));
  record.seconds = samples(cold);
  record.disturbed = cold.disturbed;
  record.clock_hz = cold.clock_hz;
  if (suite.hot) record.hot_seconds = samples(time_run(*run, Caches::hot, suite.effort, is_exchange(wanted)));
}

// A task for every implementation that its case names.
std::vector<Task> with_libraries(const Backend& backend, const std::vector<Task>& tasks, std::size_t& not_offered) {
  std::vector<Task> list;
  for (const Task& task : tasks) {
    const std::string& named = task.wanted.library;
    const std::size_t before = list.size();
    for (const std::string& library : backend.libraries(task.wanted)) {
      const bool first = list.size() == before;
      if (named != "all" && named != library && !(named.empty() && first)) continue;
      list.push_back(task);
      list.back().wanted.library = library;
    }
    if (list.size() == before) ++not_offered;
  }
  return list;
}

}  // namespace

std::unique_ptr<Backend> backend_module(const std::string& name) {
  const std::string file = "libmoeline_" + name + ".so", path = folder_of_program() + file;
  if (::access(path.c_str(), R_OK) != 0) {
    throw HardwareError(
        "the " + name + " backend is not built: no " + file + " beside the program" +
        (name == "cuda" ? "; install a CUDA compiler (nvcc) and build again, or measure with --backend host" : ""));
  }
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays until the end: its code made the backend
  if (module == nullptr) throw HardwareError("the " + name + " backend cannot be loaded: " + ::dlerror());
  const auto make = reinterpret_cast<decltype(&moeline_backend)>(::dlsym(module, "moeline_backend"));
  std::unique_ptr<Backend> backend(make == nullptr ? nullptr : make(kBackendVersion));
  if (!backend) throw HardwareError(path + " belongs to another version of moeline: build again");
  return backend;
}

LoadedBackend load_backend(const std::string& name, std::string& note) {
  if (name != "auto") return loaded(name);
  try {
    return loaded("cuda");
  } catch (const HardwareError& why) {
    note = std::string("measuring on the host: ") + why.what();
  }
  return loaded("host");
}

std::vector<Task> tasks_of(const std::vector<Case>& cases, RecordFile& file) {
  std::vector<Task> tasks;
  for (const Case& wanted : cases) tasks.push_back({wanted, &file});
  return tasks;
}

std::vector<Task> interleaved(const std::vector<Task>& a, const std::vector<Task>& b) {
  constexpr std::size_t kRounds = 8;
  std::vector<Task> tasks;
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (const std::vector<Task>* list : {&a, &b}) {
      for (std::size_t i = round; i < list->size(); i += kRounds) tasks.push_back((*list)[i]);
    }
  }
  return tasks;
}

Counts measure_cases(LoadedBackend& loaded, const Suite& suite, const std::vector<Task>& tasks, const std::string& run,
                     const Watch& watch) {
  Counts counts;
  const std::vector<Task> offered = with_libraries(*loaded.backend, tasks, counts.not_offered);
  for (const Task& task : offered) counts.before += task.file->holds(task.wanted, suite.visits) ? 1 : 0;
  for (std::size_t i = 0; i < suite.visits * offered.size(); ++i) {
    const auto& [wanted, file] = offered[i % offered.size()];
    if (file->holds(wanted, 1 + i / offered.size())) continue;
    watch(i, suite.visits * offered.size());
    Record record = begun(loaded, wanted, run);
    try {
      measure_case(*loaded.backend, wanted, suite, record);
    } catch (const HardwareError& why) {
      record.failed = why.what();
    }
    ++(record.failed.empty() ? counts.measured : counts.failed);
    file->add(record);
  }
  return counts;
}

}  // namespace moeline

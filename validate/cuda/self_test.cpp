#include "validate/cuda/self_test.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "validate/cuda/cases.hpp"

namespace moeline {
namespace {

// Two experts of odd sizes, each product in each format that the device has one for.
std::string problem_here() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return "";
  Device device(0);
  if (!is_blackwell(device.generation())) return "";
  CublasLt unused;
  const bool tensor_memory = device.generation() != 120;
  for (const std::string& dtype :
       tensor_memory ? std::vector<std::string>{"bf16", "mxfp8"} : std::vector<std::string>{"mxfp8"}) {
    for (const char* kind : {"", "dgrad", "wgrad"}) {
      const bool sums_rows = std::string(kind) == "wgrad";
      const Case wanted{
          .op = "grouped_gemm",
          .library = "moeline",
          .kind = kind,
          .dtype = dtype,
          .shape = {{"groups", 2}, {"m", sums_rows ? 384 : 200}, {"n", 384}, {"k", sums_rows ? 200 : 384}}};
      const Check check = product_run(wanted, device, unused)->check();
      if (!check.passed) return dtype + " " + kind + ": " + check.problem;
    }
  }
  return "";
}

std::string read_all(int pipe) {
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t n = 0; (n = ::read(pipe, part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(n));
  return text;
}

[[noreturn]] void report_and_leave(int pipe) {
  std::string problem;
  try {
    problem = problem_here();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  const ssize_t written = ::write(pipe, problem.data(), problem.size());
  ::_exit(written == static_cast<ssize_t>(problem.size()) ? 0 : 1);
}

}  // namespace

std::string problem_of_own_products() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "no pipe for the self-test";
  const pid_t child = ::fork();
  if (child == 0) report_and_leave(ends[1]);
  ::close(ends[1]);
  const std::string problem = child < 0 ? "no process for the self-test" : read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  if (child > 0) ::waitpid(child, &status, 0);
  return problem.empty() && status != 0 ? "the self-test died" : problem;
}

}  // namespace moeline

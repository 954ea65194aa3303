# shellcheck shell=bash
# Cases of run.sh about many ranks: Open MPI on this machine alone, as root too. LeakSanitizer would count what MPI keeps.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl=self,vader
export ASAN_OPTIONS=detect_leaks=0

launch() { timeout 60 mpirun --oversubscribe --bind-to none -n "$@"; }  # ranks, command...

launches() {  # exit code, ranks, binary, arguments...: leaves out and err
  local want=$1
  shift
  asked="mpirun -n $*"
  launch "$@" >out 2>err </dev/null
  code=$?
  ((code == want)) || problem "$asked: exit $code, expected $want: $(head -c 300 err)"
}

said_once() {  # extended regular expression: one line of ours, and no other
  [[ $(grep -c '^moeline:' err) == 1 ]] || problem "$asked: $(grep -c '^moeline:' err) lines of moeline on stderr"
  grep -qE -- "^moeline: $1" err || problem "$asked: expected /$1/, got: $(grep '^moeline' err)"
  silent out
}

loses_rank_1() {  # an mpirun in the background
  local pid
  for pid in $(pgrep -P "$1"); do
    if tr '\0' '\n' <"/proc/$pid/environ" | grep -qx OMPI_COMM_WORLD_RANK=1; then kill -9 "$pid"; fi
  done
  wait "$1"
  code=$? asked="mpirun, rank 1 killed"
  ((code == 137)) || problem "$asked: exit $code, expected that of the killed rank, 137"
}

case_a_sweep_writes_the_same_bytes_on_any_number_of_ranks() {
  sweep_file s.json 1500
  answers sweep s.json
  mv out alone
  local ranks
  for ranks in 1 2 4; do
    rm -f rows.csv rows.csv.progress
    launches 0 $ranks "$moeline" sweep s.json --out rows.csv --threads $((1 + ranks % 3))
    same alone rows.csv "$ranks ranks change the rows"
    silent err
  done
  answers sweep s.json --pareto step_time_seconds,memory_required_bytes
  mv out front
  launches 0 3 "$moeline" sweep s.json --pareto step_time_seconds,memory_required_bytes
  same front out "ranks change the front"
}

case_a_sweep_that_loses_a_rank_says_what_is_missing_and_goes_on() {
  sweep_file s.json 6000
  answers sweep s.json
  mv out undisturbed
  rm -f rows.csv rows.csv.progress
  mpirun --oversubscribe --bind-to none -n 2 "$moeline" sweep s.json --out rows.csv >out 2>err </dev/null &
  local launcher=$!
  for _ in {1..500}; do
    [[ -s rows.csv.progress ]] && break
    sleep 0.01
  done
  loses_rank_1 $launcher
  said_once 'rows\.csv: stopped; points [0-9]+ to 6000 are missing; the same command goes on$'
  launches 0 2 "$moeline" sweep s.json --out rows.csv --quiet
  same undisturbed rows.csv "gone on with, it differs from an undisturbed run"
}

case_mistakes_are_said_by_one_rank_and_all_end_alike() {
  sweep_file s.json 20
  launches 2 3 "$moeline" sweep absent.json
  said_once 'absent\.json: cannot be read'
  launches 2 3 "$moeline" sweep s.json --wher feasible
  said_once 'unknown flag --wher, did you mean --where\?'
  launches 2 3 "$moeline" sweep s.json --out absent/rows.csv
  said_once '--out absent/rows\.csv: cannot be written'
}

case_ranks_that_cannot_talk_write_nothing() {
  sweep_file s.json 20
  mkdir -p copied
  cp "$moeline" copied/
  launches 4 2 copied/moeline sweep s.json --out copied/rows.csv
  said_once 'started as 2 processes, but MPI cannot be loaded .*; start one process, or build where MPI is found'
  # Another launcher than that of the MPI of the build: each process would find itself alone.
  PMI_SIZE=2 PMI_RANK=0 refuses 4 'started as 2 processes, but MPI sees 1' sweep s.json --out copied/rows.csv
  [[ ! -e copied/rows.csv ]] || problem "a file was written"
}

exchanges_suite() {  # file, sizes: one exchange of each, two routed ones, and a pass over memory, of 2 ranks
  cat >"$1" <<END
{"effort": {"warm_up": "1 us", "least": "1 us", "most": "5 ms", "noise": 0.1, "samples": 3},
 "cases": [{"op": "all_to_all", "dtype": "int8", "shape": {"ranks": 2, "bytes": [$2]}},
           {"op": "all_to_all", "kind": "moe", "dtype": "int8", "shape": {"ranks": 2, "tokens": 16, "experts": 8, "top_k": 2, "row_bytes": 100, "exponent": [0, 1.2]}},
           {"op": "memory_pass", "kind": "copy", "dtype": "fp64", "shape": {"bytes": 65536}}]}
END
}

case_processes_exchange_on_the_machine_that_a_plain_run_measures() {
  (($(nproc) > 1)) || return 0
  exchanges_suite s.json '1024, 65536, 1000001'
  rm -f r.jsonl
  launches 0 2 "$moeline" measure --backend host --suite s.json --out r.jsonl
  says '^r\.jsonl: 6 measured, 0 there before, 0 failed, on cpu-'
  silent err
  [[ $(grep -c '"backend":"mpi".*"mpi":"Open MPI' r.jsonl) == 5 ]] || problem "not 3 + 2 exchanges by MPI: $(head -c 500 r.jsonl)"
  # 16 tokens x top 2 x 2 ranks over 2 ranks of 4 experts: 32 rows of 100 bytes arrive, of which half are a rank's own
  grep -q '"bytes":3200' r.jsonl || problem "the even routing's bytes are not 3200"
  answers measure --backend host --suite s.json --out r.jsonl
  says '^r\.jsonl: 5 measured, 1 there before, 0 failed'
  asked="mpirun --bind-to core"
  mpirun --oversubscribe --bind-to core:overload-allowed -n 2 "$moeline" measure --suite s.json --out r.jsonl >out 2>err </dev/null ||
    problem "$asked: $(head -c 300 err)"
  says '^r\.jsonl: 0 measured, 6 there before'  # bound to one core, rank 0 still names the same machine
}

case_measuring_that_loses_a_rank_keeps_its_records_and_goes_on() {
  (($(nproc) > 1)) || return 0
  exchanges_suite s.json "$(seq -s, 1000 1000 60000)"
  rm -f r.jsonl
  mpirun --oversubscribe --bind-to none -n 2 "$moeline" measure --backend host --suite s.json --out r.jsonl >out 2>err </dev/null &
  local launcher=$!
  while [[ ! -s r.jsonl || $(wc -l <r.jsonl) -lt 9 ]] && kill -0 $launcher 2>/dev/null; do sleep 0.02; done
  loses_rank_1 $launcher
  said_once 'stopped; the records on the disk are kept, and the same command goes on$'
  cp r.jsonl before
  launches 0 2 "$moeline" measure --backend host --suite s.json --out r.jsonl --quiet
  says "^r\.jsonl: $((63 - $(grep -c '"seconds"' before))) measured, $(grep -c '"seconds"' before) there before, 0 failed"
  cmp -s before <(head -c "$(stat -c %s before)" r.jsonl) || problem "records of the stopped run were touched"
}

case_mistakes_in_measuring_are_said_by_one_rank() {
  launches 2 2 "$moeline" measure --backend cuda
  said_once '--backend cuda: one process measures every GPU; start it without mpirun'
  launches 2 2 "$moeline" measure --backend host --suite absent.json
  said_once 'absent\.json: cannot be read'
  launches 2 2 "$moeline" calibrate --wite mine
  said_once 'unknown flag --wite, did you mean --write\?'
}

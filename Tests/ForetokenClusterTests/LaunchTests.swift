import ForetokenCluster
import Testing

/// What a launcher's environment promises, and what is said where MPI does not keep it.
@Suite struct LaunchTests {
    @Test func aProcessOfItsOwnIsNoLaunch() {
        #expect(Launch(environment: [:]) == nil)
        #expect(Launch(environment: ["PATH": "/bin", "SLURM_NTASKS": "4", "SLURM_PROCID": "1"]) == nil)
        for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
            #expect(Launch(environment: [name: "1"]) == nil)
            #expect(Launch(environment: [name: ""]) == nil)
            #expect(Launch(environment: [name: "many"]) == nil)
            #expect(Launch(environment: [name: "-2"]) == nil)
        }
    }

    @Test func eachLauncherIsKnownByItsVariables() throws {
        let open = try #require(Launch(environment: ["OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "2"]))
        #expect(open.launcher == .openMPI && open.count == 3 && open.rank == 2)
        let hydra = try #require(Launch(environment: ["PMI_SIZE": "2", "PMI_RANK": "1"]))
        #expect(hydra.launcher == .mpich && hydra.count == 2 && hydra.rank == 1)
        let slurm = try #require(Launch(environment: ["SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "7"]))
        #expect(slurm.launcher == .slurm && slurm.count == 8 && slurm.rank == 7)
    }

    @Test("mpirun inside a batch job comes before the job")
    func nested() throws {
        let both = ["OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0", "SLURM_STEP_NUM_TASKS": "16"]
        let launch = try #require(Launch(environment: both))
        #expect(launch.launcher == .openMPI && launch.count == 2)
        #expect(Launch(environment: ["OMPI_COMM_WORLD_SIZE": "1", "SLURM_STEP_NUM_TASKS": "16"]) == nil)
    }

    @Test func aMissingPluginIsNamedWithItsHost() throws {
        let first = try #require(Launch(environment: ["PMI_SIZE": "2", "PMI_RANK": "0"]))
        let second = try #require(Launch(environment: ["PMI_SIZE": "2", "PMI_RANK": "1"]))
        let error = first.noMPI("/opt/libforetoken-mpi.so", "there is no such file", host: "host-a")
        #expect(error.code == 1)
        let message = try #require(error.message)
        #expect(message.contains("MPICH's mpirun started 2 ranks"))
        #expect(message.contains("/opt/libforetoken-mpi.so: there is no such file"))
        #expect(message.contains("install libopenmpi-dev") && message.contains("FORETOKEN_MPI_PLUGIN"))
        let other = second.noMPI("/opt/libforetoken-mpi.so", "there is no such file", host: "host-b")
        #expect(other == ClusterError(code: 1, message: "rank 1 (host-b): \(message)"))
    }

    @Test func whatAllRanksSeeIsSaidByRankZero() throws {
        let second = try #require(Launch(environment: ["PMI_SIZE": "2", "PMI_RANK": "1"]))
        #expect(second.wrongCount(1, library: "Open MPI v4.1.4") == ClusterError(code: 1, message: nil))
    }

    @Test func lonelyRanksAreToldTheLauncherOfTheirMPI() throws {
        let hydra = try #require(Launch(environment: ["PMI_SIZE": "2", "PMI_RANK": "0"]))
        let message = try #require(hydra.wrongCount(1, library: "Open MPI v4.1.4").message)
        #expect(message.contains("(Open MPI v4.1.4) and finds 1") && message.contains("mpirun.openmpi"))
        let open = try #require(Launch(environment: ["OMPI_COMM_WORLD_SIZE": "2"]))
        let other = try #require(open.wrongCount(1, library: "MPICH Version: 4.0.2").message)
        #expect(other.contains("Open MPI's mpirun started 2 ranks") && other.contains("mpirun.mpich"))
    }

    @Test func oneCoreOfManyIsRefusedWithTheFlagToAdd() throws {
        let open = try #require(Launch(environment: ["OMPI_COMM_WORLD_SIZE": "2"]))
        #expect(try #require(open.bindingProblem(cores: 1, of: 64)).contains("--bind-to none"))
        #expect(open.bindingProblem(cores: 1, of: 1) == nil)
        #expect(open.bindingProblem(cores: 32, of: 64) == nil)
        let slurm = try #require(Launch(environment: ["SLURM_STEP_NUM_TASKS": "2"]))
        #expect(try #require(slurm.bindingProblem(cores: 1, of: 64)).contains("--cpus-per-task"))
    }

    @Test func theDeadlineIsANumberOfSeconds() throws {
        #expect(try HostTimeout.seconds(environment: [:]) == 30)
        #expect(try HostTimeout.seconds(environment: ["FORETOKEN_HOST_TIMEOUT": ""]) == 30)
        #expect(try HostTimeout.seconds(environment: ["FORETOKEN_HOST_TIMEOUT": "2"]) == 2)
        for wrong in ["0", "-1", "3601", "1.5", "soon", "99999999999999999999"] {
            #expect(throws: ClusterError.self) {
                try HostTimeout.seconds(environment: ["FORETOKEN_HOST_TIMEOUT": wrong])
            }
        }
    }
}

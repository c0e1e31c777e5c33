# Installs speakr's program on Windows from its releases, for one user, after its checksum was verified. Again: upgrades.
#
#   .\install.ps1 [-Version 1.2.3] [-Directory FOLDER] [-Uninstall]
#
# FOLDER is %LOCALAPPDATA%\Programs\speakr, and is put on the user's PATH. -Uninstall takes away what was installed, and
# FOLDER where nothing else is in it; recordings stay. Where releases are: SPEAKR_REPOSITORY (owner/name on GitHub), or SPEAKR_RELEASES, a URL with the same files.
[CmdletBinding()]
param(
    [string] $Version = "",
    [string] $Directory = (Join-Path $env:LOCALAPPDATA "Programs\speakr"),
    [switch] $Uninstall
)
Set-StrictMode -Version 3.0
$ErrorActionPreference = "Stop"
# Its bar makes downloads many times slower.
$ProgressPreference = "SilentlyContinue"

# The release workflow writes its repository here.
$Repository = "@REPOSITORY@"
if ($env:SPEAKR_REPOSITORY) { $Repository = $env:SPEAKR_REPOSITORY }

function Stop-With([string] $Message) {
    [Console]::Error.WriteLine("error: $Message")
    exit 1
}

function Set-UserPath([string] $Folder, [bool] $Wanted) {
    $parts = @([Environment]::GetEnvironmentVariable("Path", "User") -split ";" | Where-Object { $_ -and ($_ -ne $Folder) })
    if ($Wanted) { $parts += $Folder }
    [Environment]::SetEnvironmentVariable("Path", ($parts -join ";"), "User")
}

# The files of a folder and of those in it, by their paths below it.
function Get-FileNames([string] $Folder, [string] $Before = "") {
    foreach ($Item in Get-ChildItem -Force -LiteralPath $Folder) {
        if ($Item.PSIsContainer) { Get-FileNames $Item.FullName "$Before$($Item.Name)\" } else { "$Before$($Item.Name)" }
    }
}

# Removes files of the installation by such paths, and the folders that are empty then.
function Remove-Installed([string[]] $Names) {
    # Nothing outside, whatever the list says.
    $Names = @($Names | Where-Object { $_ -and ($_ -notmatch "\.\.|:|^[\\/]") })
    foreach ($Name in $Names) {
        $Path = Join-Path $Directory $Name
        if (Test-Path -PathType Leaf -LiteralPath $Path) { Remove-Item -Force -LiteralPath $Path }
    }
    $Folders = @($Names | ForEach-Object { Split-Path $_ } | Where-Object { $_ } | Sort-Object -Unique -Descending)
    foreach ($Path in @($Folders | ForEach-Object { Join-Path $Directory $_ }) + $Directory) {
        if ((Test-Path -LiteralPath $Path) -and -not (Get-ChildItem -Force -LiteralPath $Path)) { Remove-Item -Force -LiteralPath $Path }
    }
}

# What was installed, a path a line.
$Receipt = Join-Path $Directory "speakr-installed.txt"
$Listed = @()
if (Test-Path -LiteralPath $Receipt) { $Listed = @(Get-Content -LiteralPath $Receipt) }

if ($Uninstall) {
    if (-not $Listed) { Stop-With "there is no list of what was installed ($Receipt): was it to another -Directory, or by hand?" }
    # The list last: where a program runs and can't be removed, this can be run again.
    Remove-Installed ($Listed + "speakr.exe.old")
    Remove-Installed "speakr-installed.txt"
    Set-UserPath $Directory $false
    Write-Output "speakr is taken away. Recordings stay in $env:LOCALAPPDATA\speakr: remove that folder to delete them."
    exit 0
}

if (-not [Environment]::Is64BitOperatingSystem -or $env:PROCESSOR_ARCHITECTURE -eq "x86") {
    Stop-With "there are releases for 64-bit Windows on x86-64 only."
}
$Releases = $env:SPEAKR_RELEASES
if (-not $Releases) {
    if ($Repository -notmatch "^[^@/]+/[^/]+$") {
        Stop-With "which repository the releases are of isn't said: set SPEAKR_REPOSITORY=owner/name. (The install.ps1 of a release knows its own.)"
    }
    $Releases = "https://github.com/$Repository/releases"
}
$Version = $Version -replace "^v", ""
$From = if ($Version) { "$Releases/download/v$Version" } else { "$Releases/latest/download" }

# Windows PowerShell 5.1 may know older protocols only.
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
$Work = Join-Path ([IO.Path]::GetTempPath()) ("speakr-" + [Guid]::NewGuid())
New-Item -ItemType Directory $Work | Out-Null
try {
    $Sums = Join-Path $Work "SHA256SUMS"
    try { Invoke-WebRequest -UseBasicParsing "$From/SHA256SUMS" -OutFile $Sums }
    catch { Stop-With "$From/SHA256SUMS can't be downloaded: $($_.Exception.Message)" }
    $Line = Get-Content $Sums | Where-Object { $_ -match "^[0-9a-f]{64}  speakr-[0-9A-Za-z.-]+-x86_64-windows\.zip$" } | Select-Object -First 1
    if (-not $Line) { Stop-With "the release has no archive for x86_64-windows." }
    $Wanted, $Archive = $Line -split "  ", 2
    $Found = $Archive -replace "^speakr-", "" -replace "-x86_64-windows\.zip$", ""
    if ($Version -and ($Found -ne $Version)) { Stop-With "$From has version $Found and not $Version." }

    Write-Output "Downloading speakr $Found ..."
    $File = Join-Path $Work $Archive
    try { Invoke-WebRequest -UseBasicParsing "$From/$Archive" -OutFile $File }
    catch { Stop-With "$From/$Archive can't be downloaded: $($_.Exception.Message)" }
    $Got = (Get-FileHash -Algorithm SHA256 $File).Hash.ToLowerInvariant()
    if ($Got -ne $Wanted) {
        Stop-With "$Archive isn't what SHA256SUMS says: it should be $Wanted and is $Got. The download is broken, or somebody has changed it. Nothing was installed."
    }
    Expand-Archive $File -DestinationPath $Work
    $Folder = Join-Path $Work "speakr-$Found-x86_64-windows"
    $Told = & (Join-Path $Folder "speakr.exe") --version
    if (($LASTEXITCODE -ne 0) -or ($Told -ne "speakr $Found")) { Stop-With "the program in $Archive doesn't start here, or is another: $Told" }

    $Program = Join-Path $Directory "speakr.exe"
    $Names = @(Get-FileNames $Folder)
    if (-not $Listed -and -not (Test-Path -LiteralPath $Program)) {
        $Others = @($Names | Where-Object { Test-Path -LiteralPath (Join-Path $Directory $_) })
        if ($Others) { Stop-With "$Directory has a $($Others[0]) that isn't speakr's: name a folder of its own with -Directory. Nothing was installed." }
    }
    New-Item -ItemType Directory -Force $Directory | Out-Null
    # Of both versions, until the new one is there: whatever happens, all of it can be taken away.
    Set-Content -Encoding UTF8 -LiteralPath $Receipt -Value ($Listed + $Names | Sort-Object -Unique)
    # A program that runs can't be written over, but renamed.
    $Old = "$Program.old"
    if (Test-Path $Old) { Remove-Item -Force $Old -ErrorAction SilentlyContinue }
    if (Test-Path $Program) { Move-Item -Force $Program $Old }
    try { Copy-Item -Recurse -Force (Join-Path $Folder "*") $Directory }
    catch {
        if (Test-Path $Old) { Move-Item -Force $Old $Program }
        Stop-With "$Directory can't be written: $($_.Exception.Message)"
    }
    Remove-Item -Force $Old -ErrorAction SilentlyContinue
    # What the version before had and this one hasn't.
    Remove-Installed @($Listed | Where-Object { $Names -notcontains $_ })
    Set-Content -Encoding UTF8 -LiteralPath $Receipt -Value $Names
    Set-UserPath $Directory $true
    Write-Output "Installed speakr $Found as $Program."
    Write-Output "Open a new terminal, then: winget install ffmpeg, and speakr doctor."
    Write-Output "Completions: Add-Content `$PROFILE '. `"$Directory\completions\speakr.ps1`"'"
}
finally {
    Remove-Item -Recurse -Force $Work -ErrorAction SilentlyContinue
}
